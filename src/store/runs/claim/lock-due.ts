import { type Kysely, type RawBuilder, type Selectable, sql, type SqlBool, type Transaction } from 'kysely'
import { without } from '../../admission/admission.ts'
import type { Dialect } from '../../connection/dialect.ts'
import { reusedStatement } from '../../statements/reused-statement.ts'
import { CLAIM_COLUMNS, type ClaimRow } from '../run-row.ts'
import { QUEUED } from '../run-states.ts'
import type { RunTable, Tables } from '../../tables.ts'
import type { ClaimRequest } from './claim-request.ts'

/** The options that select the runs of a claim. */
type Among = Pick<ClaimRequest, 'only' | 'except' | 'early' | 'share' | 'without' | 'ids'>

const NEAR = 4
/**
 * How many runs a claim reads if other nodes hold the first runs of the queue. It is enough for simultaneous claims by eight nodes, of
 * 2,000 runs each.
 */
const FAR = 16_000

/**
 * Finds and locks due runs for a claim. They come in the order of the index `run_queue`, which is the order in which runs are claimed.
 * Skips runs that others have locked, so a claim never waits.
 *
 * On a server without SKIP LOCKED the runs are read unlocked; see `takeRuns`. May return fewer than `limit` runs, but returns none only if
 * no run is due or others have locked all due runs.
 */
export async function lockDue(
  trx: Transaction<Tables>,
  dialect: Dialect,
  request: ClaimRequest,
): Promise<readonly ClaimRow[]> {
  const { share, ...whole } = request
  const along = () =>
    due(trx, dialect, whole)
      .select(CLAIM_COLUMNS)
      .$if(request.early !== undefined, (query) => query.select('priority'))
  if (dialect.name === 'sqlite' || !dialect.skipsLocked) {
    return isPlain(request)
      ? (await trx.executeQuery<ClaimRow>(usualDue(trx, dialect, { limit: request.limit }))).rows
      : along().execute()
  }
  if (share) {
    const shared = await lockAmong(trx, dialect, request, request.limit)
    // If the share has no free due runs, the claim may take any run.
    return shared.length > 0 ? shared : lockDue(trx, dialect, whole)
  }
  const first = await lockAmong(trx, dialect, request, request.limit)
  if (first.length > 0 || !(await lookForDue(trx, dialect, request)).isAnyDue) return first
  // Other nodes hold the first runs of the queue. Usually it is one node with an equally large claim.
  for (const looked of [NEAR * request.limit, FAR]) {
    const farther = await lockAmong(trx, dialect, request, looked)
    if (farther.length > 0) return farther
  }
  return along().modifyEnd(dialect.forUpdateSkipLocked).execute()
}

/** Reads the database's time, and whether any run is due, even one that another node is claiming. Locks nothing. */
export async function lookForDue(
  db: Kysely<Tables>,
  dialect: Dialect,
  among: Among = {},
): Promise<{ readonly isAnyDue: boolean; readonly now: Date }> {
  const query = isPlain(among) ? usualLook(db, dialect, {}) : look(db, dialect, among).compile()
  const [row] = (await db.executeQuery<Look>(query)).rows
  return { isAnyDue: row !== undefined && row.id !== null, now: dialect.date(row?.now as Date | string) }
}

interface Look {
  readonly now: Date | string
  readonly id: number | null
}

function look(db: Kysely<Tables>, dialect: Dialect, among: Among) {
  const first = due(db, dialect, { ...among, limit: 1 }).select('id')
  return db.selectNoFrom([dialect.now().as('now'), first.as('id')])
}

const usualLook = reusedStatement([], (db, dialect) => look(db, dialect, {}))
const usualDue = reusedStatement(['limit'], (db, dialect, { limit }) =>
  due(db, dialect, { limit }).select(CLAIM_COLUMNS),
)
const usualLocked = reusedStatement(['looked', 'limit'], (db, dialect, { looked, limit }) =>
  locked(db, dialect, { limit }, looked),
)

/** Whether a claim may take any run. */
function isPlain({ only, except, early, share, without: broken, ids }: Among): boolean {
  return !only && !except?.length && !early && !share && !broken?.size && !ids
}

/**
 * Locks up to `limit` of the first `looked` due runs. It finds them without locks, then locks them by primary key.
 *
 * A locking read of the index would take about five times as long. For each entry that it passes, it would check whether a running
 * transaction has written it, and this includes runs that were just claimed.
 */
async function lockAmong(
  trx: Transaction<Tables>,
  dialect: Dialect,
  request: ClaimRequest,
  looked: number,
): Promise<readonly ClaimRow[]> {
  const { limit } = request
  if (!isPlain(request)) return locked(trx, dialect, request, looked).execute()
  return (await trx.executeQuery<ClaimRow>(usualLocked(trx, dialect, { looked, limit }))).rows
}

function locked(db: Kysely<Tables>, dialect: Dialect, request: Among & Pick<ClaimRequest, 'limit'>, looked: number) {
  const found = due(db, dialect, { ...request, limit: looked })
    .select('id')
    .as('due')
  const byId = sql<Selectable<RunTable>>`piko_run`.as<'run'>(sql`run${dialect.forceIndex('PRIMARY')}`)
  return (
    db
      .selectFrom(found)
      .innerJoin(byId, 'run.id', 'due.id')
      .select(CLAIM_COLUMNS.map((column) => `run.${column}` as const))
      .$if(request.early !== undefined, (query) => query.select('run.priority'))
      // Reads the rows one by one in the order in which they were found, whatever the server's statistics say.
      .modifyFront(sql`STRAIGHT_JOIN`)
      // Checks the state again, because other nodes may have changed the runs in the meantime.
      .where('run.state', '=', QUEUED)
      .where('run.run_at', '<=', until(dialect, request))
      .limit(request.limit)
      .modifyEnd(dialect.forUpdateSkipLocked)
  )
}

/** Returns the latest time at which the runs of a claim may be due. */
function until(dialect: Dialect, { early }: Among): RawBuilder<Date> {
  return early ? dialect.nowPlus(early.aheadMs) : dialect.now()
}

function due(db: Kysely<Tables>, dialect: Dialect, request: Among & Pick<ClaimRequest, 'limit'>) {
  const { limit, only, except, early, share, without: broken, ids } = request
  // Forces the index, whatever the server estimates. With any other index the server would sort the whole queue for each claim.
  const index = dialect.forceIndex(ids ? 'PRIMARY' : 'run_queue')
  const queue = sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${index}`)
  let query = db
    .selectFrom(queue)
    .where('state', '=', QUEUED)
    .where('run_at', '<=', until(dialect, request))
    .orderBy('priority')
    .orderBy('run_at')
    .orderBy('id')
    .limit(limit)
  // The ids are hashed, because plain ids have a pattern: each member of a cluster has its own step and offset.
  if (share) query = query.where(sql<SqlBool>`CRC32(id) % ${share.of} = ${share.index}`)
  if (early?.maxPriority !== undefined) query = query.where('priority', '<=', early.maxPriority)
  if (ids) query = query.where('id', 'in', ids.length > 0 ? ids : [-1])
  if (broken && broken.size > 0) query = query.where('id', 'not in', [...broken])
  // No job has an empty id, so an empty list matches nothing.
  if (only) query = query.where('job_id', 'in', only.length > 0 ? only : [''])
  for (const condition of without(except ?? [])) query = query.where(condition)
  return query
}
