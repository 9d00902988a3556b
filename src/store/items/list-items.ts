import { type Selectable, sql } from 'kysely'
import type { ItemState } from '../../item/item.ts'
import { fromJson } from '../../json/json.ts'
import type { RunError } from '../../run/run-error.ts'
import { readEach, readOne } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import { FENCE_FACTOR } from '../runs/fence.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'
import type { ItemTable } from './item-tables.ts'
import { openAt } from './lane-rows.ts'
import { type ItemFilter, pageOfItems } from './page-of-items.ts'
import { speedColumns } from './lane-speeds.ts'

export interface StoredItem {
  readonly id: number
  readonly runId: number
  readonly jobId: string
  readonly kind: string
  readonly key: string
  readonly state: ItemState
  readonly lane: string
  readonly priority: number
  readonly depth: number
  readonly parent: number | undefined
  readonly dueAt: Date
  readonly nodeId: string | undefined
  /** How many tries have failed, by error class. */
  readonly tries: Readonly<Record<string, number>>
  /** Why the item was skipped, or the error class of a dead item. */
  readonly reason: string | undefined
  readonly error: RunError | undefined
  readonly position: string | undefined
  /** Whether bytes of a failed try are kept. */
  readonly hasKept: boolean
  readonly createdAt: Date
  readonly startedAt: Date | undefined
  readonly finishedAt: Date | undefined
}

type Row = Omit<Selectable<ItemTable>, 'data'> & { readonly lane: string | null; readonly data?: string | null }

/** Lists items of all generations of a run. Reports and leaves out those that can't be read. */
export async function listItems(database: Database, runId: number, filter: ItemFilter): Promise<StoredItem[]> {
  const ids = await pageOfItems(database, runId, filter)
  if (ids.length === 0) return []
  const rows = await selected(database).where('piko_item.id', 'in', ids).orderBy('piko_item.id').execute()
  const { read, broken } = readEach(database.dialect, 'piko_item', rows as Row[], (row) => itemOf(row, database))
  for (const row of broken) database.broken.report(row)
  return [...read]
}

/** Returns one item with its data. @throws PikoError `ROW_BROKEN` if a person has edited it so that it can't be read */
export async function showItem(
  database: Database,
  id: number,
): Promise<(StoredItem & { readonly data: unknown }) | undefined> {
  const row = await selected(database).select('piko_item.data').where('piko_item.id', '=', id).executeTakeFirst()
  if (!row) return undefined
  const item = readOne(database.dialect, 'piko_item', row as Row, (found) => itemOf(found, database))
  return { ...item, data: fromJson(row.data) }
}

function selected({ db }: Database) {
  return db
    .selectFrom('piko_item')
    .leftJoin('piko_lane', 'piko_lane.id', 'piko_item.lane_id')
    .select([
      'piko_item.id',
      'piko_item.fence',
      'piko_item.job_id',
      'piko_item.kind',
      'piko_item.item_key',
      'piko_item.state',
      'piko_item.priority',
      'piko_item.depth',
      'piko_item.parent_id',
      'piko_item.due_at',
      'piko_item.node_id',
      'piko_item.tries',
      'piko_item.reason',
      'piko_item.error',
      'piko_item.position',
      'piko_item.kept',
      'piko_item.created_at',
      'piko_item.started_at',
      'piko_item.finished_at',
      'piko_lane.name as lane',
    ])
}

function itemOf(row: Row, { dialect }: Database): StoredItem {
  const date = (value: Date | string | null): Date | undefined => (value === null ? undefined : dialect.date(value))
  return {
    id: row.id,
    runId: Math.floor(row.fence / FENCE_FACTOR),
    jobId: row.job_id,
    kind: row.kind,
    key: row.item_key,
    state: row.state,
    lane: keyOf(row.lane ?? ''),
    priority: row.priority,
    depth: row.depth,
    parent: row.parent_id ?? undefined,
    dueAt: dialect.date(row.due_at),
    nodeId: row.node_id ?? undefined,
    tries: (fromJson(row.tries) ?? {}) as Readonly<Record<string, number>>,
    reason: row.reason ?? undefined,
    error: fromJson(row.error) as RunError | undefined,
    position: row.position ?? undefined,
    hasKept: row.kept !== null,
    createdAt: dialect.date(row.created_at),
    startedAt: date(row.started_at),
    finishedAt: date(row.finished_at),
  }
}

/** Returns the newest generation of a run. */
export async function newestFence(
  { db }: Database,
  runId: number,
): Promise<{ fence: number; isSeeded: boolean } | undefined> {
  const row = await db
    .selectFrom('piko_item_run')
    .select(['fence', 'seeded_at'])
    .where('run_id', '=', runId)
    .orderBy('fence', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row && { fence: row.fence, isSeeded: row.seeded_at !== null }
}

/** A lane, as `app.items.lanes` returns it. */
export interface LaneStatus {
  readonly id: number
  readonly scope: string
  readonly name: string
  /**
   * `open`: its items may begin. `idle`: it has no queued or running items. `waiting`: it is waiting for its rate, or for a time that an
   * error asked for. `broken`: its circuit breaker is open. `paused`: no item begins until the lane is resumed.
   */
  readonly state: 'open' | 'idle' | 'waiting' | 'broken' | 'paused'
  readonly queued: number
  readonly running: number
  readonly ratePerSecond: number | undefined
  readonly parallel: number | undefined
  /** The share of the lane's rate that is allowed now, from 1/32 to 1. */
  readonly factor: number
  /** How many items ended per second on all nodes, in about the last 20 seconds; undefined if no node has stored a measurement. */
  readonly perSecond: number | undefined
  /**
   * The 95th percentile of the items' times in about the last 20 seconds, on the slowest node, in milliseconds. In a crawl, a time is from
   * the request until the body was read.
   */
  readonly p95Ms: number | undefined
  readonly nextAt: Date | undefined
  readonly openUntil: Date | undefined
}

export interface LaneFilter {
  /** A job's id, or the `laneScope` of its kinds. Default: all scopes. */
  readonly scope?: string
  /** Only lanes with queued or running items of this run. */
  readonly runId?: number
  /** The maximum number of lanes. Default 100. */
  readonly limit?: number
  /** Only lanes with a larger id. */
  readonly after?: number
}

export async function listLanes(database: Database, filter: LaneFilter): Promise<LaneStatus[]> {
  const { db, dialect } = database
  const { scope, runId, limit = 100, after = 0 } = filter
  const counted = (state: 'queued' | 'running') =>
    sql<number>`(SELECT COUNT(*) FROM piko_item WHERE lane_id = piko_lane.id AND state = ${sql.lit(state)})`
  let query = db
    .selectFrom('piko_lane')
    .selectAll()
    .select([dialect.now().as('now'), counted('queued').as('queued'), counted('running').as('running')])
    .select(speedColumns(dialect))
    .where('id', '>', after)
  if (scope !== undefined) query = query.where('scope', '=', exactKey(scope))
  if (runId !== undefined) {
    const first = runId * FENCE_FACTOR
    query = query.where('id', 'in', (eb) =>
      eb
        .selectFrom('piko_item')
        .select('lane_id')
        .distinct()
        .where('fence', '>=', first)
        .where('fence', '<', first + FENCE_FACTOR)
        .where('state', 'in', ['queued', 'running']),
    )
  }
  const rows = await query.orderBy('id').limit(limit).execute()
  return rows.map((row) => {
    const now = dialect.date(row.now).getTime()
    const [next, until, free] = [row.next_at, row.open_until, row.free_at].map((at) =>
      at === null ? undefined : dialect.date(at),
    )
    const isWaiting = free !== undefined && free.getTime() > now
    const [queued, running] = [Number(row.queued), Number(row.running)]
    const unhindered = queued + running === 0 ? 'idle' : isWaiting ? 'waiting' : 'open'
    return {
      ...{ id: row.id, scope: row.scope, name: keyOf(row.name), queued, running },
      state: row.paused_at !== null ? 'paused' : until !== undefined ? 'broken' : unhindered,
      ratePerSecond:
        row.rate_limit === null || row.rate_ms === null ? undefined : (row.rate_limit / row.rate_ms) * 1_000,
      parallel: row.parallel ?? undefined,
      factor: row.factor,
      perSecond: row.per_second === null ? undefined : Number(row.per_second),
      p95Ms: row.p95_ms === null ? undefined : Number(row.p95_ms),
      nextAt: next,
      openUntil: until,
    }
  })
}

/**
 * Pauses or resumes the lanes with this name.
 *
 * @returns the number of lanes; 0 if there are none
 */
export async function pauseLanes(
  database: Database,
  { name, scope, isPaused }: { readonly name: string; readonly scope?: string | undefined; readonly isPaused: boolean },
): Promise<number> {
  const { db, dialect } = database
  const now = dialect.now()
  const result = await database.retry(() =>
    db
      .updateTable('piko_lane')
      .set(isPaused ? { paused_at: now, next_at: null } : { paused_at: null, next_at: openAt(dialect) })
      .where('name', '=', exactKey(name))
      .$if(scope !== undefined, (query) => query.where('scope', '=', exactKey(scope ?? '')))
      .executeTakeFirstOrThrow(),
  )
  return Number(result.numUpdatedRows)
}
