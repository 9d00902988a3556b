import type { Transaction } from 'kysely'
import { PikoError } from '../../errors.ts'
import type { ItemState } from '../../item/item.ts'
import type { Database } from '../connection/database.ts'
import { ReplayStore } from '../runs/replay-store.ts'
import type { Tables } from '../tables.ts'
import { CountChanges, countedReason } from './item-counts.ts'
import { exactKey } from '../values/exact-key.ts'
import { wakeLanes } from './lane-rows.ts'
import { newestFence } from './list-items.ts'

export type ReplayableState = Extract<ItemState, 'dead' | 'skipped' | 'cancelled'>

/** Which ended items to queue again. */
export interface ItemReplayFilter {
  readonly runId: number
  /** The state of the items to queue again. Default `'dead'`. */
  readonly state?: ReplayableState
  readonly kind?: string
  readonly lane?: string
  readonly ids?: readonly number[]
}

const STEP = 1_000

/** How long the first items of a large replay are delayed, so that the run does not end before the last ones are queued. */
const HOLD_MS = 60_000

/**
 * Queues ended items of a run again, with their kept bytes and with all tries unused. A run that has failed or was cancelled is queued
 * again too, in the same transaction. The run then only waits for its items. Its handler is called only if it had not added all items.
 *
 * Replays only items of the newest generation, because the handler has added the items of older generations again.
 *
 * @param nodeId the node under which the counts are stored
 * @returns the number of queued items
 * @throws PikoError `USAGE` if the run has succeeded, if a later run has executed its window, or if the run was replayed and adds its items
 * again
 */
export async function replayItems(database: Database, nodeId: string, filter: ItemReplayFilter): Promise<number> {
  const { db, dialect } = database
  const fence = (await newestFence(database, filter.runId))?.fence
  if (fence === undefined) return 0
  let count = 0
  let after = 0
  let held: readonly number[] = []
  for (;;) {
    const rows = await matching(database, filter, fence, after)
    const last = rows.at(-1)
    if (!last) break
    const isFirst = after === 0
    const isHeld = isFirst && rows.length === STEP
    after = last.id
    const ids = rows.map(({ id }) => id)
    if (isHeld) held = ids
    count += await database.transaction(async (trx) => {
      // The run is reopened in each step, because it may have ended since the last one. The lock also makes sure that the run does not end
      // before these items are queued.
      await reopenRun(trx, database, filter.runId, fence)
      return requeue(trx, database, nodeId, filter, ids, isHeld ? HOLD_MS : 0)
    })
    await wakeLanes(db, dialect, [...new Set(rows.map((row) => row.lane_id))])
    if (rows.length < STEP) break
  }
  if (held.length > 0) await release(database, held)
  return count
}

async function release(database: Database, ids: readonly number[]): Promise<void> {
  const { db, dialect } = database
  const now = dialect.now()
  await database.retry(() =>
    db
      .updateTable('piko_item')
      .set({ due_at: now })
      .where(dialect.isAmong(ids))
      .where(dialect.checkedState, '=', 'queued')
      .execute(),
  )
  const rows = await db.selectFrom('piko_item').select('lane_id').distinct().where(dialect.isAmong(ids)).execute()
  await wakeLanes(
    db,
    dialect,
    rows.map((row) => row.lane_id),
  )
}

async function reopenRun(trx: Transaction<Tables>, database: Database, runId: number, fence: number): Promise<void> {
  const run = await trx
    .selectFrom('piko_run')
    .select(['state', 'job_id'])
    .where('id', '=', runId)
    .modifyEnd(database.dialect.forUpdate)
    .executeTakeFirst()
  if (!run) return
  if (run.state === 'queued' || run.state === 'running') {
    if (await isOpen(trx, fence)) return
    throw new PikoError(
      'USAGE',
      `run ${runId} of job "${run.job_id}" was replayed and starts from the beginning: it adds all its items again, so its earlier items are not replayed`,
      { details: { runId, jobId: run.job_id, state: run.state } },
    )
  }
  if (await new ReplayStore(database).requeueIn(trx, runId)) return
  throw new PikoError(
    'USAGE',
    `items of run ${runId} of job "${run.job_id}" can't be replayed; the run is in state "${run.state}". The state must be queued, running, failed or cancelled, and no later run may have executed the window of this run`,
    { details: { runId, jobId: run.job_id, state: run.state } },
  )
}

async function isOpen(trx: Transaction<Tables>, fence: number): Promise<boolean> {
  const row = await trx.selectFrom('piko_item_run').select('ended_at').where('fence', '=', fence).executeTakeFirst()
  return row?.ended_at === null
}

function matching({ db }: Database, filter: ItemReplayFilter, fence: number, after: number) {
  const { state = 'dead', kind, lane, ids } = filter
  let query = db
    .selectFrom('piko_item')
    .innerJoin('piko_lane', 'piko_lane.id', 'piko_item.lane_id')
    .select(['piko_item.id', 'piko_item.lane_id'])
    .where('piko_item.fence', '=', fence)
    .where('piko_item.state', '=', state)
    .where('piko_item.id', '>', after)
  if (kind !== undefined) query = query.where('piko_item.kind', '=', kind)
  if (lane !== undefined) query = query.where('piko_lane.name', '=', exactKey(lane))
  if (ids) query = query.where('piko_item.id', 'in', ids.length > 0 ? [...ids] : [-1])
  return query.orderBy('piko_item.id').limit(STEP).execute()
}

async function requeue(
  trx: Transaction<Tables>,
  { dialect }: Database,
  nodeId: string,
  { state = 'dead' }: ItemReplayFilter,
  ids: readonly number[],
  holdMs: number,
): Promise<number> {
  const rows = await trx
    .selectFrom('piko_item')
    .select(['id', 'fence', 'kind', 'reason'])
    .where(dialect.isAmong(ids))
    .where(dialect.checkedState, '=', state)
    .orderBy('id')
    .modifyEnd(dialect.forUpdate)
    .execute()
  if (rows.length === 0) return 0
  await trx
    .updateTable('piko_item')
    .set({
      ...{
        state: 'queued',
        due_at: holdMs > 0 ? dialect.nowPlus(holdMs) : dialect.now(),
        node_id: null,
        tries: null,
        reason: null,
        error: null,
      },
      finished_at: null,
    })
    .where(dialect.isAmong(rows.map(({ id }) => id)))
    .execute()
  const counts = new CountChanges()
  for (const { fence, kind, reason } of rows)
    counts.add(fence, kind, state === 'skipped' ? `skipped:${countedReason(reason ?? '')}` : state, -1)
  await counts.store(trx, dialect, nodeId)
  // Reopens the generation but keeps `seeded_at`, so the handler is called again only if it had not added all items.
  await trx
    .updateTable('piko_item_run')
    .set({ ended_at: null })
    .where('fence', 'in', [...new Set(rows.map(({ fence }) => fence))])
    .execute()
  return rows.length
}
