import { type Compilable, sql } from 'kysely'
import { PikoError } from '../errors.ts'
import { type RunState } from '../job/run.ts'
import { type Database } from './database.ts'
import { exactKey } from './exact-key.ts'

/** A run is stored only when none with its key is there. */
export interface Unique {
  readonly key: string
  /** Only runs asked for within this time count. Default: however long ago. */
  readonly periodMs?: number | undefined
  /** Only runs in these states count. */
  readonly states: readonly RunState[]
}

/** Runs a statement of the store in some transaction and returns the rows that it answers. */
export type RunQuery = (query: Compilable) => Promise<readonly unknown[]>

/**
 * Stores a run unless one of its job with the same key is there. Returns the id of the one that is.
 *
 * The key's row is made first and then locked, so that of two transactions with one key the second waits for the end of the
 * first; locking a row that isn't there would lock the gap around it.
 *
 * @param asked  the config and input, as JSON, that the run would have
 * @param insert stores the run and returns its id
 * @throws PikoError `IDEMPOTENCY_CONFLICT` when the run that is there was asked for with others
 */
export async function storeUnique(
  { db, dialect }: Database,
  query: RunQuery,
  jobId: string,
  { key, periodMs, states }: Unique,
  asked: { readonly config?: unknown; readonly input?: unknown },
  insert: () => Promise<number>,
): Promise<number> {
  // SQLite compares byte for byte.
  const stored = dialect.name === 'mysql' ? exactKey(key) : key
  const row = { job_id: jobId, idempotency_key: stored, run_id: null, created_at: dialect.now() }
  const make = db.insertInto('piko_idempotency').values(row)
  await query(dialect.name === 'sqlite' ? make.onConflict((oc) => oc.doNothing()) : make.ignore())
  const since = periodMs === undefined ? undefined : dialect.nowPlus(-periodMs)
  const [known] = (await query(
    db
      .selectFrom('piko_idempotency')
      .select(['run_id', since ? sql<number>`created_at > ${since}`.as('is_recent') : sql<number>`1`.as('is_recent')])
      .where('job_id', '=', jobId)
      .where('idempotency_key', '=', stored)
      .modifyEnd(dialect.forUpdate),
  )) as { run_id: number | null; is_recent: number }[]
  if (known && known.run_id !== null && Number(known.is_recent) === 1) {
    const [run] = (await query(
      db.selectFrom('piko_run').select(['config', 'input']).where('id', '=', known.run_id).where('state', 'in', states),
    )) as { config: string | null; input: string | null }[]
    if (run && run.config === (asked.config ?? null) && run.input === (asked.input ?? null)) return Number(known.run_id)
    if (run) throw conflict(jobId, key, Number(known.run_id))
  }
  const runId = await insert()
  await query(
    db
      .updateTable('piko_idempotency')
      .set({ run_id: runId, created_at: dialect.now() })
      .where('job_id', '=', jobId)
      .where('idempotency_key', '=', stored),
  )
  return runId
}

function conflict(jobId: string, key: string, runId: number): PikoError {
  return new PikoError(
    'IDEMPOTENCY_CONFLICT',
    `run ${runId} of job "${jobId}" has the idempotency key "${key}" and was asked for with another config or input; use another key, or the same request`,
    { details: { jobId, key, runId } },
  )
}
