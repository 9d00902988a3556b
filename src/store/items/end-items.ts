import { type Kysely, sql, type SqlBool, type Transaction } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { CountChanges, countedReason } from './item-counts.ts'
import { withinLimits } from './item-limit.ts'
import { type LaneChange, type LaneOutcome, settleLanes } from './settle-lanes.ts'
import { type StateEnd, endStates } from './leased-states.ts'
import { forgetPrints, insertItems, type NewItem } from './new-item.ts'
import { type Kept, storeKept } from './kept-bytes.ts'

/** An item, and the claim that holds it. */
export interface HeldItem {
  readonly id: number
  readonly fence: number
  readonly jobId: string
  readonly kind: string
  readonly claims: number
}

/** How an item ends. */
export type ItemEnd =
  | { readonly to: 'done' }
  | { readonly to: 'skipped'; readonly reason: string }
  | { readonly to: 'cancelled' }
  | { readonly to: 'dead'; readonly reason: string; readonly error: string; readonly tries: string }
  /** Queued again. If `tries` and `error` are undefined, the attempt does not count. */
  | { readonly to: 'queued'; readonly delayMs: number; readonly tries?: string; readonly error?: string }

export interface EndedItem {
  readonly held: HeldItem
  readonly end: ItemEnd
  readonly added: readonly NewItem[]
  /** The numbers of further added items, by kind, that are certainly stored already. Default: none. */
  readonly duplicates?: ReadonlyMap<string, number>
  /** How many items a limit has left out, by reason. */
  readonly left: ReadonlyMap<string, number>
  readonly ms: number
  readonly bytes: number
  /** How this end affects the lane; undefined: not at all. */
  readonly lane: LaneOutcome | undefined
  readonly states: readonly StateEnd[]
  /** Bytes for the next attempt; undefined: unchanged. */
  readonly kept: Kept | undefined
  /** Whether bytes of an earlier attempt are stored. */
  readonly hadKept: boolean
}

export interface ItemsEnded {
  /** The items that this node no longer held. Nothing was written for them. */
  readonly lost: ReadonlySet<number>
  /** Lost items that the same claim has already ended in the same way: an earlier transaction was committed, but its answer was lost. */
  readonly earlier: ReadonlySet<number>
  /** The lanes of the items that were added. */
  readonly laneIds: ReadonlySet<number>
  /** The circuit breakers that have opened, opened again or closed. */
  readonly changes: readonly LaneChange[]
}

/**
 * Ends items, and stores the items that they have added, in one transaction.
 *
 * Every write checks the node and the number of claims, so that an item that another node has taken over stays unchanged. Locks are taken
 * in this order: items, new items by print, states, lanes by id.
 */
export async function endItems(database: Database, nodeId: string, ends: readonly EndedItem[]): Promise<ItemsEnded> {
  const ordered = ends.toSorted((one, other) => one.held.id - other.held.id)
  const end = (isSingly: boolean) =>
    database.transaction((trx) => endIn(trx, database.dialect, nodeId, ordered, isSingly))
  try {
    return await end(false)
  } catch (error) {
    if (error instanceof PartlyHeld) return end(true)
    throw error
  }
}

/**
 * Thrown if some items of a group are no longer held. The transaction is rolled back, and repeated with one update per item, to find them.
 */
class PartlyHeld extends Error {}

/**
 * Like {@link endItems}, but within a transaction.
 *
 * @param ends ordered by id
 * @param isSingly whether each item is updated with a statement of its own
 */
export async function endIn(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  ends: readonly EndedItem[],
  isSingly: boolean,
): Promise<ItemsEnded> {
  const lost = await writeEnds(trx, dialect, nodeId, ends, isSingly)
  const earlier = lost.size === 0 ? lost : await endedEarlier(trx, dialect, nodeId, ends, lost)
  const written = lost.size === 0 ? ends : ends.filter(({ held }) => !lost.has(held.id))
  const cancelled = written.filter(({ end }) => end.to === 'cancelled').map(({ held }) => held.id)
  if (cancelled.length > 0) await forgetPrints(trx, dialect, cancelled)
  const counts = new CountChanges()
  const added = written.flatMap((ended) => ended.added)
  await storeAdded(trx, dialect, added, counts)
  for (const ended of written) count(counts, ended)
  await storeKept(trx, dialect, written)
  const states = written.flatMap((ended) => ended.states)
  if (states.length > 0) await endStates(trx, dialect, states)
  const outcomes = written.flatMap(({ lane }) => lane ?? [])
  const changes = outcomes.length > 0 ? await settleLanes(trx, dialect, outcomes) : NO_CHANGES
  await counts.store(trx, dialect, nodeId)
  const visible = ends.filter(({ held: { id } }) => !lost.has(id) || earlier.has(id)).flatMap((ended) => ended.added)
  return { lost, earlier, laneIds: new Set(visible.map(({ laneId }) => laneId)), changes }
}

const NO_CHANGES: readonly LaneChange[] = []

/** Stores added items and counts them. */
export async function storeAdded(
  trx: Kysely<Tables>,
  dialect: Dialect,
  added: readonly NewItem[],
  counts: CountChanges,
): Promise<{ readonly added: number; readonly duplicates: number }> {
  let sum = { added: 0, duplicates: 0 }
  for (const { fence, kind, added: stored, duplicates } of await insertItems(
    trx,
    dialect,
    await withinLimits(trx, dialect, added, counts),
  )) {
    counts.add(fence, kind, 'stored', stored)
    counts.add(fence, kind, 'duplicate', duplicates)
    sum = { added: sum.added + stored, duplicates: sum.duplicates + duplicates }
  }
  return sum
}

/** Writes the state of each item. Returns the ids of items that this node no longer holds. */
async function writeEnds(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  ends: readonly EndedItem[],
  isSingly: boolean,
): Promise<ReadonlySet<number>> {
  const lost = new Set<number>()
  const done = ends.filter(({ end }) => end.to === 'done')
  const groups = isSingly ? done.map((ended) => [ended]) : Map.groupBy(done, ({ held }) => held.claims).values()
  for (const some of groups) {
    const { numUpdatedRows } = await holding(trx, dialect, nodeId, some)
      .set({ state: 'done', finished_at: dialect.now(), error: null, reason: null, kept: null })
      .executeTakeFirstOrThrow()
    if (Number(numUpdatedRows) === some.length) continue
    if (numUpdatedRows > 0n) throw new PartlyHeld()
    for (const { held } of some) lost.add(held.id)
  }
  for (const ended of ends) {
    if (ended.end.to === 'done') continue
    const { numUpdatedRows } = await holding(trx, dialect, nodeId, [ended])
      .set(changesOf(ended, dialect))
      .executeTakeFirstOrThrow()
    if (numUpdatedRows === 0n) lost.add(ended.held.id)
  }
  return lost
}

/** Returns the lost items that the same claim has already ended in the same way. */
async function endedEarlier(
  trx: Transaction<Tables>,
  dialect: Dialect,
  nodeId: string,
  ends: readonly EndedItem[],
  lost: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  const rows = await trx
    .selectFrom('piko_item')
    .select(['id', 'claims', 'state'])
    .where(dialect.isAmong([...lost]))
    .where('node_id', '=', nodeId)
    .execute()
  const known = new Map(rows.map((row) => [row.id, row]))
  const same = ends.filter(({ held: { id, claims }, end }) => {
    const row = known.get(id)
    return row?.claims === claims && row.state === end.to
  })
  return new Set(same.map(({ held }) => held.id))
}

function holding(trx: Kysely<Tables>, dialect: Dialect, nodeId: string, ends: readonly EndedItem[]) {
  return trx
    .updateTable('piko_item')
    .where(dialect.isAmong(ends.map(({ held }) => held.id)))
    .where(sql<SqlBool>`claims = ${sql.lit(ends[0]?.held.claims ?? -1)}`)
    .where('node_id', '=', nodeId)
    .where(dialect.checkedState, '=', 'running')
}

function changesOf({ end, kept }: EndedItem, dialect: Dialect) {
  const keptRef = kept === undefined ? {} : { kept: kept.ref ?? null }
  switch (end.to) {
    case 'done':
    case 'cancelled':
      return { state: end.to, finished_at: dialect.now(), kept: null }
    case 'skipped':
      return { state: end.to, finished_at: dialect.now(), kept: null, reason: end.reason.slice(0, 255) }
    case 'dead':
      return {
        ...{ state: end.to, finished_at: dialect.now(), reason: end.reason, error: end.error, tries: end.tries },
        ...keptRef,
      }
    case 'queued':
      return {
        ...{ state: end.to, node_id: null, due_at: end.delayMs > 0 ? dialect.nowPlus(end.delayMs) : dialect.now() },
        ...(end.tries !== undefined && { tries: end.tries }),
        ...(end.error !== undefined && { error: end.error }),
        ...keptRef,
      }
  }
}

function count(counts: CountChanges, { held: { fence, kind }, end, ms, bytes, left, duplicates }: EndedItem): void {
  for (const [ofKind, amount] of duplicates ?? []) counts.add(fence, ofKind, 'duplicate', amount)
  counts.add(fence, kind, 'bytes', bytes)
  for (const [reason, amount] of left) counts.add(fence, kind, `left:${reason}`, amount)
  if (end.to === 'queued') return
  counts.add(fence, kind, 'ms', ms)
  counts.add(fence, kind, end.to === 'skipped' ? `skipped:${countedReason(end.reason)}` : end.to)
}
