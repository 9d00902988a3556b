import { sql, type Transaction } from 'kysely'
import { ENDED_STATES } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import type { Tables } from '../tables.ts'
import { CountChanges } from './item-counts.ts'
import { openAt, wakeLanes } from './lane-rows.ts'
import { forgetPrints } from './new-item.ts'
import { type Loss, lossOf, LOST_CLASS } from './lost-items.ts'

/** The maximum number of items that one transaction handles. */
const STEP = 2_000
/** The maximum number of generations that one sweep handles. */
const MAX_OPEN = 500
/**
 * How many lanes one sweep goes through, to find items that are due earlier than their lane. Of these, it checks only lanes that are due
 * later than `FAR_MS` from now.
 */
const CHECKED_LANES = 1_000
const FAR_MS = 5_000

/** What a sweep needs to know about this node. */
export interface SweepRequest {
  readonly nodeId: string
  /** Returns the ids of the items that this node holds. Called after the rows were read. */
  readonly held: () => ReadonlySet<number>
  /**
   * After this time, items return to the queue if the database assigns them to this node but the node does not hold them. Their claim got
   * no answer.
   */
  readonly unheldMs: number
  /** The last lane that the previous sweep has checked. Default: begins with the first lane. */
  readonly checkedLane?: number
  /** The last generation that the previous sweep has checked. Default: begins with the first. */
  readonly checkedFence?: number
  /** An item is dead after this many nodes have died while they executed it. */
  readonly lostAttempts: number
}

/** An item that is dead because too many nodes have died while they executed it. */
export interface DeadItem {
  readonly runId: number
  readonly jobId: string
  readonly itemId: number
  readonly kind: string
  readonly key: string
}

export interface Swept {
  /** How many items without a live holder are queued again or are dead. */
  readonly recovered: number
  readonly dead: readonly DeadItem[]
  readonly cancelled: number
  /** Whether there may be more items to cancel. */
  readonly isMore: boolean
  /** The value of `checkedLane` for the next sweep. */
  readonly checkedLane: number
  readonly checkedFence: number
}

/**
 * Maintains the items of up to 500 open generations: returns running items that no live node holds to the queue, cancels queued items of
 * generations that are over, closes these when no item is left to end, and wakes lanes with queued items that no claim would read in time.
 * Any node may do this at any time.
 */
export async function sweepItems(database: Database, request: SweepRequest): Promise<Swept> {
  const { checkedLane = 0, checkedFence: after = 0 } = request
  const open = await openGenerations(database, after)
  // The next sweep continues with the remaining generations.
  const checkedFence = open.length === MAX_OPEN ? (open.at(-1)?.fence ?? 0) : 0
  const withLost = await fencesOfLost(
    database,
    open.map(({ fence }) => fence),
    request,
  )
  const dead: DeadItem[] = []
  let recovered = 0
  let cancelled = 0
  let isMore = false
  for (const { fence, isOver } of open) {
    if (withLost.has(fence)) {
      const found = await recover(database, fence, request)
      recovered += found.count
      dead.push(...found.dead)
    }
    if (!isOver) continue
    const count = await endSome(database, fence, request.nodeId)
    cancelled += count
    // Each generation gets one step per sweep, so that a large one does not delay the others.
    isMore ||= count === STEP
  }
  const swept = { recovered, dead, cancelled, isMore, checkedFence }
  if (open.length === 0) return { ...swept, checkedLane }
  await wakeResting(database)
  return { ...swept, checkedLane: await wakeLate(database, checkedLane) }
}

async function openGenerations(
  { db, dialect }: Database,
  after: number,
): Promise<readonly { readonly fence: number; readonly isOver: boolean }[]> {
  const rows = await db
    .selectFrom('piko_item_run')
    .leftJoin('piko_run', 'piko_run.id', 'piko_item_run.run_id')
    .select(['piko_item_run.fence', 'piko_item_run.ended_at', 'piko_run.state'])
    .where((eb) => eb.or([eb('piko_item_run.ended_at', 'is', null), eb('piko_item_run.ended_at', '>', dialect.now())]))
    .where('piko_item_run.fence', '>', after)
    .orderBy('piko_item_run.fence')
    .limit(MAX_OPEN)
    .execute()
  return rows.map(({ fence, ...row }) => ({ fence, isOver: isOver(row) }))
}

const ENDED = new Set<string>(ENDED_STATES)

/** Whether a generation is over: its run has ended, was deleted or was replayed. */
function isOver({ state, ended_at }: { readonly state: string | null; readonly ended_at: unknown }): boolean {
  return state === null || ENDED.has(state) || ended_at !== null
}

/** Selects running items whose node is dead, and items that this node claimed some time ago. */
function lostOf({ db, dialect }: Database, fences: readonly number[], { nodeId, unheldMs }: SweepRequest) {
  return db
    .selectFrom('piko_item')
    .leftJoin('piko_node', 'piko_node.id', 'piko_item.node_id')
    .where('piko_item.fence', 'in', [...fences])
    .where('piko_item.state', '=', 'running')
    .where((eb) =>
      eb.or([
        eb('piko_node.id', 'is', null),
        eb('piko_node.expires_at', '<', dialect.now()),
        eb.and([eb('piko_item.node_id', '=', nodeId), eb('piko_item.started_at', '<', dialect.nowPlus(-unheldMs))]),
      ]),
    )
}

/** Returns the generations with items that may be lost. This is one statement, because most generations have none. */
async function fencesOfLost(
  database: Database,
  fences: readonly number[],
  request: SweepRequest,
): Promise<ReadonlySet<number>> {
  if (fences.length === 0) return new Set()
  const rows = await lostOf(database, fences, request).select('piko_item.fence').distinct().execute()
  return new Set(rows.map(({ fence }) => fence))
}

/**
 * Returns to the queue the items whose node is dead or does not hold them. This uses up no retry. But if too many nodes have died while
 * they executed an item, the item is dead.
 */
async function recover(
  database: Database,
  fence: number,
  request: SweepRequest,
): Promise<{ readonly count: number; readonly dead: readonly DeadItem[] }> {
  const { nodeId, held } = request
  const { dialect } = database
  const rows = await lostOf(database, [fence], request)
    .select(['piko_item.id', 'piko_item.claims', 'piko_item.node_id', 'piko_item.lane_id'])
    .select(['piko_item.kind', 'piko_item.tries', 'piko_item.job_id', 'piko_item.item_key'])
    .limit(STEP)
    .execute()
  const mine = held()
  const lost = rows.filter((row) => row.node_id !== nodeId || !mine.has(row.id))
  if (lost.length === 0) return { count: 0, dead: [] }
  const result = await database.transaction(async (trx) => {
    let changed = 0
    const dead: DeadItem[] = []
    const counts = new CountChanges()
    // Items that were lost in the same way for the first time share a statement.
    const alike = Map.groupBy(lost, (row) => JSON.stringify([row.claims, row.node_id, row.kind, row.tries]))
    for (const group of alike.values()) {
      const [first] = group
      if (!first) continue
      const loss = first.node_id === nodeId ? undefined : lossOf(first.tries, request.lostAttempts)
      // From the second time on, each item gets a delay of its own. So harmless items no longer run together with an item that makes its
      // node crash.
      for (const some of loss?.isRepeated ? group.map((row) => [row]) : [group]) {
        const ids = some.map(({ id }) => id)
        const { numUpdatedRows } = await trx
          .updateTable('piko_item')
          .set(loss ? changesOf(loss, dialect) : { state: 'queued', node_id: null, due_at: dialect.now() })
          .where(dialect.isAmong(ids))
          .where('claims', '=', first.claims)
          .where('node_id', first.node_id === null ? 'is' : '=', first.node_id)
          .where(dialect.checkedState, '=', 'running')
          .executeTakeFirstOrThrow()
        changed += Number(numUpdatedRows)
        if (loss?.error !== undefined) {
          counts.add(fence, first.kind, 'dead', Number(numUpdatedRows))
          if (Number(numUpdatedRows) === some.length) dead.push(...some.map((row) => deadItem(fence, row)))
        }
        await trx
          .updateTable('piko_item_state')
          .set({ item_id: null, claims: null })
          .where('item_id', 'in', ids)
          .where('claims', '=', first.claims)
          .execute()
      }
    }
    await counts.store(trx, dialect, nodeId)
    return { count: changed, dead }
  })
  await wakeLanes(database.db, dialect, [...new Set(lost.map((row) => row.lane_id))])
  return result
}

function deadItem(
  fence: number,
  row: { readonly id: number; readonly job_id: string; readonly kind: string; readonly item_key: string },
): DeadItem {
  const runId = Math.floor(fence / FENCE_FACTOR)
  return { runId, jobId: row.job_id, itemId: row.id, kind: row.kind, key: row.item_key }
}

function changesOf({ tries, delayMs, error }: Loss, dialect: Dialect) {
  const changes = { tries, node_id: null, due_at: dialect.nowPlus(delayMs()) }
  return error === undefined
    ? { ...changes, state: 'queued' as const }
    : { ...changes, state: 'dead' as const, reason: LOST_CLASS, error, finished_at: dialect.now() }
}

/**
 * Cancels some of the queued items of a generation that is over. Closes it when none of its items is queued or running. Locks the run
 * first; a replay of its items does the same, and queues the run again.
 *
 * @returns the number of cancelled items
 */
async function endSome(database: Database, fence: number, nodeId: string): Promise<number> {
  const { dialect } = database
  return database.transaction(async (trx) => {
    if (!(await isStillOver(trx, dialect, fence))) return 0
    const rows = await trx
      .selectFrom('piko_item')
      .select(['id', 'kind'])
      .where('fence', '=', fence)
      .where('state', '=', 'queued')
      .orderBy('id')
      .limit(STEP)
      .modifyEnd(dialect.forUpdateSkipLocked)
      .execute()
    if (rows.length > 0) {
      const ids = rows.map(({ id }) => id)
      await trx
        .updateTable('piko_item')
        .set({ state: 'cancelled', finished_at: dialect.now() })
        .where(dialect.isAmong(ids))
        .execute()
      await forgetPrints(trx, dialect, ids)
      const counts = new CountChanges()
      for (const { kind } of rows) counts.add(fence, kind, 'cancelled')
      await counts.store(trx, dialect, nodeId)
    }
    if (rows.length < STEP) await close(trx, dialect, fence)
    return rows.length
  })
}

async function isStillOver(trx: Transaction<Tables>, dialect: Dialect, fence: number): Promise<boolean> {
  const run = await trx
    .selectFrom('piko_run')
    .select('state')
    .where('id', '=', Math.floor(fence / FENCE_FACTOR))
    .modifyEnd(dialect.forUpdate)
    .executeTakeFirst()
  const items = await trx.selectFrom('piko_item_run').select('ended_at').where('fence', '=', fence).executeTakeFirst()
  return items !== undefined && isOver({ state: run?.state ?? null, ended_at: items.ended_at })
}

async function close(trx: Transaction<Tables>, dialect: Dialect, fence: number): Promise<void> {
  const left = await trx
    .selectFrom('piko_item')
    .select('id')
    .where('fence', '=', fence)
    .where('state', 'in', ['queued', 'running'])
    .limit(1)
    .executeTakeFirst()
  if (left) return
  await trx.updateTable('piko_item_run').set({ ended_at: dialect.now() }).where('fence', '=', fence).execute()
}

/**
 * Wakes lanes that no claim reads although they have queued items: a node may have died after it stored the items and before it
 * woke their lanes.
 */
async function wakeResting({ db, dialect }: Database): Promise<void> {
  const rows = await db
    .selectFrom('piko_lane')
    .select('id')
    .where('next_at', 'is', null)
    .where('paused_at', 'is', null)
    .where(sql<boolean>`EXISTS (SELECT 1 FROM piko_item WHERE lane_id = piko_lane.id AND state = 'queued')`)
    .limit(STEP)
    .execute()
  if (rows.length > 0)
    await wakeLanes(
      db,
      dialect,
      rows.map(({ id }) => id),
    )
}

/**
 * Wakes lanes that are waiting for a later item although another item is already due. Checks a limited number of lanes.
 *
 * @returns the id of the last lane that was checked; 0 after the last lane
 */
async function wakeLate({ db, dialect }: Database, after: number): Promise<number> {
  const lanes = await db
    .selectFrom('piko_lane')
    .select('id')
    .where('id', '>', after)
    .orderBy('id')
    .limit(CHECKED_LANES)
    .execute()
  const last = lanes.at(-1)?.id ?? after
  const far = await db
    .selectFrom('piko_lane')
    .select('id')
    .where('id', '>', after)
    .where('id', '<=', last)
    .where('paused_at', 'is', null)
    .where('next_at', '>', dialect.nowPlus(FAR_MS))
    .where('next_at', '>', openAt(dialect))
    .execute()
  if (far.length > 0) {
    const rows = await db
      .selectFrom('piko_item')
      .select('lane_id')
      .where(
        'lane_id',
        'in',
        far.map(({ id }) => id),
      )
      .where('state', '=', 'queued')
      .groupBy(['lane_id', 'state', 'priority'])
      .having((eb) => eb(eb.fn.min('due_at'), '<=', dialect.now()))
      .execute()
    if (rows.length > 0) await wakeLanes(db, dialect, [...new Set(rows.map(({ lane_id }) => lane_id))])
  }
  return lanes.length < CHECKED_LANES ? 0 : last
}
