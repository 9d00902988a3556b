import { sql, type Transaction } from 'kysely'
import { ENDED_STATES } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'
import { CountChanges } from './item-counts.ts'
import { openAt, wakeLanes } from './lane-rows.ts'

/** The maximum number of items in one transaction. */
const STEP = 2_000
/** The maximum number of generations that one sweep looks at. */
const MAX_OPEN = 500
/** How many lanes one sweep checks for items that are due before the lane is, and how far ahead such a lane must be. */
const CHECKED_LANES = 1_000
const FAR_MS = 5_000

/** What this node has at the moment of a sweep. */
export interface SweepRequest {
  readonly nodeId: string
  /** The ids of the items that this node holds. Read after the rows. */
  readonly held: () => ReadonlySet<number>
  /** Items of this node that it does not hold return to the queue after this time: the answer of their claim was lost. */
  readonly unheldMs: number
  /** The lane up to which the sweep before has checked lanes. Default: it begins anew. */
  readonly checkedLane?: number
}

export interface Swept {
  /** Items that are queued again because their node has died. */
  readonly recovered: number
  readonly cancelled: number
  /** Whether more may be left. */
  readonly isMore: boolean
  /** For the next sweep. */
  readonly checkedLane: number
}

/**
 * Looks after the items of all open generations: returns those of dead nodes to the queue, cancels the queued ones of ended runs, closes
 * generations that are over, and wakes lanes that rest although they have queued items. Any node may do it at any time.
 */
export async function sweepItems(database: Database, request: SweepRequest): Promise<Swept> {
  const open = await openGenerations(database)
  const { checkedLane = 0 } = request
  let recovered = 0
  let cancelled = 0
  for (const { fence, isOver } of open) {
    recovered += await recover(database, fence, request)
    if (!isOver) continue
    const count = await cancelQueued(database, fence, request.nodeId)
    cancelled += count
    if (count === STEP) return { recovered, cancelled, isMore: true, checkedLane }
    await close(database, fence)
  }
  if (open.length === 0) return { recovered, cancelled, isMore: false, checkedLane }
  await wakeResting(database)
  return { recovered, cancelled, isMore: false, checkedLane: await wakeLate(database, checkedLane) }
}

async function openGenerations({
  db,
}: Database): Promise<readonly { readonly fence: number; readonly isOver: boolean }[]> {
  const rows = await db
    .selectFrom('piko_item_run')
    .leftJoin('piko_run', 'piko_run.id', 'piko_item_run.run_id')
    .select(['piko_item_run.fence', 'piko_run.state'])
    .where('piko_item_run.ended_at', 'is', null)
    .orderBy('piko_item_run.fence')
    .limit(MAX_OPEN)
    .execute()
  const ended = new Set<string>(ENDED_STATES)
  return rows.map(({ fence, state }) => ({ fence, isOver: state === null || ended.has(state) }))
}

/** Returns items to the queue whose node does not live, or does not know them. Costs no budget. */
async function recover(database: Database, fence: number, { nodeId, held, unheldMs }: SweepRequest): Promise<number> {
  const { db, dialect } = database
  const rows = await db
    .selectFrom('piko_item')
    .leftJoin('piko_node', 'piko_node.id', 'piko_item.node_id')
    .select(['piko_item.id', 'piko_item.claims', 'piko_item.node_id', 'piko_item.lane_id'])
    .where('piko_item.fence', '=', fence)
    .where('piko_item.state', '=', 'running')
    .where((eb) =>
      eb.or([
        eb('piko_node.id', 'is', null),
        eb('piko_node.expires_at', '<', dialect.now()),
        eb.and([eb('piko_item.node_id', '=', nodeId), eb('piko_item.started_at', '<', dialect.nowPlus(-unheldMs))]),
      ]),
    )
    .limit(STEP)
    .execute()
  const mine = held()
  const lost = rows.filter((row) => row.node_id !== nodeId || !mine.has(row.id))
  if (lost.length === 0) return 0
  const count = await database.transaction(async (trx) => {
    let changed = 0
    for (const [claims, some] of Map.groupBy(lost, (row) => row.claims)) {
      for (const [owner, group] of Map.groupBy(some, (row) => row.node_id)) {
        const ids = group.map(({ id }) => id)
        const { numUpdatedRows } = await trx
          .updateTable('piko_item')
          .set({ state: 'queued', node_id: null, due_at: dialect.now() })
          .where(dialect.isAmong(ids))
          .where('claims', '=', claims)
          .where('node_id', owner === null ? 'is' : '=', owner)
          .where(dialect.checkedState, '=', 'running')
          .executeTakeFirstOrThrow()
        changed += Number(numUpdatedRows)
        await trx
          .updateTable('piko_item_state')
          .set({ item_id: null, claims: null })
          .where('item_id', 'in', ids)
          .where('claims', '=', claims)
          .execute()
      }
    }
    return changed
  })
  await wakeLanes(db, dialect, [...new Set(lost.map((row) => row.lane_id))])
  return count
}

async function cancelQueued(database: Database, fence: number, nodeId: string): Promise<number> {
  const { dialect } = database
  return database.transaction(async (trx) => {
    const rows = await trx
      .selectFrom('piko_item')
      .select(['id', 'kind'])
      .where('fence', '=', fence)
      .where('state', '=', 'queued')
      .orderBy('id')
      .limit(STEP)
      .modifyEnd(dialect.forUpdateSkipLocked)
      .execute()
    if (rows.length === 0) return 0
    await trx
      .updateTable('piko_item')
      .set({ state: 'cancelled', finished_at: dialect.now() })
      .where(dialect.isAmong(rows.map(({ id }) => id)))
      .execute()
    const counts = new CountChanges()
    for (const { kind } of rows) counts.add(fence, kind, 'cancelled')
    await counts.store(trx, dialect, nodeId)
    return rows.length
  })
}

/** Closes a generation of an ended run, unless an item of it is still queued or running. */
async function close(database: Database, fence: number): Promise<void> {
  await database.transaction(async (trx) => {
    const left = await trx
      .selectFrom('piko_item')
      .select('id')
      .where('fence', '=', fence)
      .where('state', 'in', ['queued', 'running'])
      .limit(1)
      .executeTakeFirst()
    if (!left) await closeIn(trx, database, fence)
  })
}

async function closeIn(trx: Transaction<Tables>, { dialect }: Database, fence: number): Promise<void> {
  await trx
    .updateTable('piko_item_run')
    .set({ ended_at: dialect.now() })
    .where('fence', '=', fence)
    .where('ended_at', 'is', null)
    // A replay of its items queues the run again.
    .where((eb) =>
      eb.not(
        eb.exists(
          eb
            .selectFrom('piko_run')
            .select('piko_run.id')
            .whereRef('piko_run.id', '=', 'piko_item_run.run_id')
            .where('piko_run.state', 'in', ['queued', 'running']),
        ),
      ),
    )
    .execute()
}

/** A node that died after it had stored items may not have woken their lanes. */
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
 * The same for lanes that wait for a later item although one is due by now. Checks some lanes at a time.
 *
 * @returns the last lane that it has checked, 0 after the last one of all
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
