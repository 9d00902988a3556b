import { type Selectable, sql, type Transaction } from 'kysely'
import { mostUnderWay } from '../../item/breaker.ts'
import type { ClockReading } from '../../item/database-clock.ts'
import { allowedLateMs, type LanePlace, lateWithin, placesFrom, spacingMs } from '../../item/lane.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import type { Tables } from '../tables.ts'
import { lockLanes, nextInMs, ofRuns, readableMs } from './due-lanes.ts'
import type { ItemTable } from './item-tables.ts'
import type { LaneState } from './lane-rows.ts'
import { freeAfter, moveOn, type OpenLane, opensAt } from './places/move-lanes.ts'
import { runningOf } from './running-items.ts'

export interface ItemClaimRequest {
  readonly nodeId: string
  /** The maximum number of items to claim. */
  readonly limit: number
  /** The scopes of lanes that this node has code for. */
  readonly scopes: readonly string[]
  /** The jobs that this node has code for. */
  readonly jobIds: readonly string[]
  /** Only items of these runs. Default: items of all runs. */
  readonly runIds?: readonly number[]
  /**
   * How far ahead start times are taken and lanes are read, in milliseconds, so that items begin in time even if the database answers
   * slowly.
   */
  readonly leadMs: number
  /**
   * The minimum time from the reading of the database's clock until an item may begin in a lane with a rate, in milliseconds. Default:
   * `leadMs`.
   */
  readonly leastMs?: number
  /** The node's monotonic clock, in milliseconds. */
  readonly monotonic: () => number
  /** Receives the reading of the database's clock. Returns how uncertain its time is, in milliseconds. Default: it is certain. */
  readonly read?: (reading: ClockReading) => number
  /** Items of this node whose functions have ended but whose ends are not stored yet. They do not count for `parallel`. Default: none. */
  readonly over?: readonly number[]
  /**
   * How many functions this node runs at the same time, if it may claim items without a free slot. If a lane's `parallel` is at least this
   * large, this node's claimed items do not count for it, unless another node has running items of the lane. Default: all claimed items
   * count.
   */
  readonly slots?: number | undefined
}

/** An item that this node holds. */
export interface ItemClaim {
  readonly id: number
  readonly fence: number
  readonly jobId: string
  readonly kind: string
  readonly lane: LaneState
  readonly priority: number
  readonly depth: number
  readonly key: string
  readonly data: string | null
  readonly parentId: number | undefined
  readonly claims: number
  readonly tries: string | null
  readonly kept: string | undefined
  readonly position: string | undefined
  /** Milliseconds from the reading of the clock until the item may begin. */
  readonly inMs: number
  /** The item's place in the lane; undefined if the lane has neither a rate nor a minimum time between two items. */
  readonly place: LanePlace | undefined
}

export interface ClaimedItems {
  readonly claims: readonly ItemClaim[]
  /** Milliseconds until the next lane is due; 0 if this claim found due lanes; undefined if no lane has a due time. */
  readonly nextInMs: number | undefined
  /** When the clock was read; undefined if the claim found no readable due lane. */
  readonly reading: ClockReading | undefined
}

/** If an item has run longer than this, in milliseconds, it no longer counts as the item that tests a failing lane. */
const PROBE_MS = 60_000

const COLUMNS = [
  'id',
  'fence',
  'job_id',
  'kind',
  'lane_id',
  'priority',
  'due_at',
  'depth',
  'item_key',
  'data',
  'parent_id',
  'claims',
  'tries',
  'kept',
  'position',
] as const

type ItemRow = Pick<Selectable<ItemTable>, (typeof COLUMNS)[number]>

/**
 * Claims due items of due lanes. Locks the lanes first, so that no other node claims their items at the same time, and skips lanes that
 * others have locked. Items are found by lane and state, so ended items are never read.
 */
export async function claimItems(database: Database, request: ItemClaimRequest): Promise<ClaimedItems> {
  return database.transaction((trx) => claimIn(trx, database.dialect, request))
}

async function claimIn(trx: Transaction<Tables>, dialect: Dialect, request: ItemClaimRequest): Promise<ClaimedItems> {
  const askedAt = request.monotonic()
  const due = await lockLanes(trx, dialect, request)
  const readAt = request.monotonic()
  if (!due) return { claims: [], nextInMs: await nextInMs(trx, dialect, request), reading: undefined }
  const { now, lanes } = due
  if (lanes.length === 0) return { claims: [], nextInMs: 0, reading: undefined }
  const uncertainMs = request.read?.({ databaseMs: now, askedAt, readAt }) ?? 0
  const open = await openLanes(trx, dialect, lanes, { now, uncertainMs }, request)
  const wanted = open.filter(({ at }) => at.length > 0)
  const found = wanted.length === 0 ? [] : await dueItems(trx, dialect, request, wanted)
  const taken = await take(trx, dialect, request, found)
  const byLane = Map.groupBy(taken, (row) => row.lane_id)
  const drained = wanted.filter(({ lane, at }) => (byLane.get(lane.id)?.length ?? 0) < at.length)
  const nextDue = await nextDueOf(
    trx,
    dialect,
    drained.map(({ lane }) => lane.id),
  )
  await moveOn(
    trx,
    dialect,
    { now, leadMs: request.leadMs },
    open,
    byLane,
    new Set(drained.map(({ lane }) => lane.id)),
    nextDue,
  )
  return {
    claims: open.flatMap((one) => {
      const rows = byLane.get(one.lane.id) ?? []
      return rows.map((row, index) => claimOf(row, one, { index, now, isLast: index === rows.length - 1 }))
    }),
    nextInMs: 0,
    reading: { databaseMs: now, askedAt, readAt },
  }
}

/** Decides how many items of each lane may be claimed, and when each item may begin. */
async function openLanes(
  trx: Transaction<Tables>,
  dialect: Dialect,
  lanes: readonly LaneState[],
  { now, uncertainMs }: { readonly now: number; readonly uncertainMs: number },
  request: ItemClaimRequest,
): Promise<readonly OpenLane[]> {
  const idsOf = (some: readonly LaneState[]): number[] => some.map(({ id }) => id)
  const { limit, leadMs, leastMs, over = [] } = request
  const limited = lanes.filter(({ parallel }) => parallel !== undefined)
  const wide = limited.filter(({ parallel = 0 }) => request.slots !== undefined && parallel >= request.slots)
  const elsewhere = await runningOf(trx, idsOf(wide), { except: request.nodeId })
  // For these lanes, the slots of this node already keep the limit, so items that are waiting for a slot may be claimed.
  const own = new Set(wide.filter(({ id }) => !elsewhere.has(id)))
  const running = await runningOf(trx, idsOf(limited.filter((lane) => !own.has(lane))), { over })
  const failing = lanes.filter(({ breaker }) => mostUnderWay(breaker) < Infinity)
  // Items that run for a long time, such as streams, are ignored: they show nothing about requests that are sent now.
  const recent = await runningOf(trx, idsOf(failing), { since: dialect.nowPlus(-PROBE_MS) })
  let left = limit
  return lanes.map((lane, index) => {
    const share = Math.ceil(left / (lanes.length - index))
    const free = Math.max(
      0,
      Math.min(
        own.has(lane) ? Infinity : (lane.parallel ?? Infinity) - (running.get(lane.id) ?? 0),
        mostUnderWay(lane.breaker) - (recent.get(lane.id) ?? 0),
      ),
    )
    const spacing = spacingMs(lane.rate, lane.factor, lane.delayMs)
    const allowedMs = allowedLateMs(lane.rate, lane.delayMs)
    const lateMs = lateWithin(allowedMs, uncertainMs)
    const graceMs = spacing === 0 ? 0 : lateMs - allowedMs
    const most = Math.min(share, free)
    const { at } = placesFrom({
      now,
      leadMs,
      ...(leastMs !== undefined && { leastMs }),
      freeAt: opensAt(lane),
      spacing,
      graceMs,
      most,
    })
    left -= at.length
    return { lane, at, spacing, lateMs, graceMs, isFull: free === 0 }
  })
}

/** Returns the first due items of each lane. The items need no lock: the lanes are locked, so no other claim can take them. */
async function dueItems(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { jobIds, runIds }: ItemClaimRequest,
  lanes: readonly OpenLane[],
): Promise<readonly ItemRow[]> {
  const columns = sql.join(COLUMNS.map((column) => sql.ref(column)))
  const parts = lanes.map(
    ({ lane, at }) => sql`SELECT ${columns} FROM (SELECT ${columns} FROM piko_item${dialect.forceIndex('item_lane')}
      WHERE lane_id = ${sql.lit(lane.id)} AND state = 'queued' AND due_at <= ${dialect.now()}
      AND job_id IN (${sql.join([...jobIds])})${runIds ? sql` AND ${ofRuns(runIds)}` : sql``}
      ORDER BY priority, due_at, id LIMIT ${sql.lit(at.length)}) AS ${sql.ref(`lane${lane.id}`)}`,
  )
  const { rows } = await sql<ItemRow>`${sql.join(parts, sql` UNION ALL `)}`.execute(trx)
  return rows
}

/** Marks items as running. Leaves out items that a cancel has ended in the meantime. */
async function take(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { nodeId }: ItemClaimRequest,
  found: readonly ItemRow[],
): Promise<readonly ItemRow[]> {
  if (found.length === 0) return []
  const ids = found.map(({ id }) => id)
  const { numUpdatedRows } = await trx
    .updateTable('piko_item')
    .set({ state: 'running', node_id: nodeId, claims: sql`claims + 1`, started_at: dialect.now() })
    .where(dialect.isAmong(ids))
    .where(dialect.checkedState, '=', 'queued')
    .executeTakeFirstOrThrow()
  if (Number(numUpdatedRows) === found.length) return found
  const rows = await trx
    .selectFrom('piko_item')
    .select(['id', 'claims'])
    .where(dialect.isAmong(ids))
    .where('node_id', '=', nodeId)
    .where(dialect.checkedState, '=', 'running')
    .execute()
  const claims = new Map(rows.map((row) => [row.id, row.claims]))
  return found.filter((row) => claims.get(row.id) === row.claims + 1)
}

/** Returns when the first queued item of each lane is due, in milliseconds since 1970. */
async function nextDueOf(
  trx: Transaction<Tables>,
  dialect: Dialect,
  laneIds: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  const next = new Map<number, number>()
  if (laneIds.length === 0) return next
  const rows = await trx
    .selectFrom('piko_item')
    .select((eb) => ['lane_id', 'priority', eb.fn.min('due_at').as('due_at')])
    .where('lane_id', 'in', laneIds)
    .where('state', '=', 'queued')
    .groupBy(['lane_id', 'state', 'priority'])
    .execute()
  for (const { lane_id, due_at } of rows) {
    const ms = readableMs(due_at, dialect)
    if (ms !== undefined) next.set(lane_id, Math.min(ms, next.get(lane_id) ?? Infinity))
  }
  return next
}

function claimOf(
  row: ItemRow,
  open: OpenLane,
  { index, now, isLast }: { readonly index: number; readonly now: number; readonly isLast: boolean },
): ItemClaim {
  const { lane, spacing, lateMs } = open
  const at = open.at[index] ?? now
  return {
    id: row.id,
    fence: row.fence,
    jobId: row.job_id,
    kind: row.kind,
    lane,
    priority: row.priority,
    depth: row.depth,
    key: row.item_key,
    data: row.data,
    parentId: row.parent_id ?? undefined,
    claims: row.claims + 1,
    tries: row.tries,
    kept: row.kept ?? undefined,
    position: row.position ?? undefined,
    inMs: Math.max(0, at - now),
    place: spacing === 0 ? undefined : { at, lateMs, freeAt: isLast ? freeAfter(open, at) : undefined },
  }
}
