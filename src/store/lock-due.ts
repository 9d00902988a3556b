import { type Kysely, type Selectable, sql, type Transaction } from 'kysely'
import { without } from './admission.ts'
import { type Dialect } from './dialect.ts'
import { CLAIM_COLUMNS } from './run-row.ts'
import { type ClaimRequest } from './run-store.ts'
import { QUEUED } from './run-states.ts'
import { type RunTable, type Tables } from './tables.ts'

type Candidate = Pick<Selectable<RunTable>, (typeof CLAIM_COLUMNS)[number]>

/** So many nodes may claim at one instant before one of them finds all that it has looked at taken by the others. */
const CLAIMS_AT_ONCE = 16

/**
 * Due runs for a claim, in the order of the index `run_queue`, which is the claim's: no filesort. They are locked, without those that
 * others have locked, so a claim waits for nobody. A server without SKIP LOCKED reads them unlocked; see `takeRuns`.
 */
export async function lockDue(
  trx: Transaction<Tables>,
  dialect: Dialect,
  request: ClaimRequest,
): Promise<readonly Candidate[]> {
  if (dialect.name === 'sqlite' || !dialect.skipsLocked)
    return due(trx, dialect, request).select(CLAIM_COLUMNS).execute()
  const rows = await lockFirst(trx, dialect, request, request.limit)
  return rows.length < request.limit ? lockFirst(trx, dialect, request, CLAIMS_AT_ONCE * request.limit) : rows
}

/**
 * Locks up to `limit` of the first `looked` due runs, found without locks and then locked by primary key. A locking read of the
 * index would ask of each entry on its way, also of those that claims have just left, whether a transaction under way has written it,
 * and cost some five times as much.
 */
async function lockFirst(
  trx: Transaction<Tables>,
  dialect: Dialect,
  request: ClaimRequest,
  looked: number,
): Promise<readonly Candidate[]> {
  const found = due(trx, dialect, { ...request, limit: looked })
    .select('id')
    .as('due')
  const byId = sql<Selectable<RunTable>>`piko_run`.as<'run'>(sql`run${dialect.forceIndex('PRIMARY')}`)
  const locked = trx
    .selectFrom(found)
    .innerJoin(byId, 'run.id', 'due.id')
    .select(CLAIM_COLUMNS.map((column) => `run.${column}` as const))
    // One by one in the order in which they were found, whatever the server thinks of how many rows there are.
    .modifyFront(sql`STRAIGHT_JOIN`)
    // Asked once more: others may have changed them in between.
    .where('run.state', '=', QUEUED)
    .where('run.run_at', '<=', dialect.now())
    .limit(request.limit)
  return locked.modifyEnd(dialect.forUpdateSkipLocked).execute()
}

function due(db: Kysely<Tables>, dialect: Dialect, { limit, only, except }: ClaimRequest) {
  let query = db
    .selectFrom('piko_run')
    .where('state', '=', QUEUED)
    .where('run_at', '<=', dialect.now())
    .orderBy('priority')
    .orderBy('run_at')
    .orderBy('id')
    .limit(limit)
  // No id is empty, so an empty list matches nothing.
  if (only) query = query.where('job_id', 'in', only.length > 0 ? only : [''])
  for (const condition of without(except ?? [])) query = query.where(condition)
  return query
}
