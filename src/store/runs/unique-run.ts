import { createHash } from 'node:crypto'
import { type Compilable, sql } from 'kysely'
import { PikoError } from '../../errors.ts'
import type { RunState } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import { makeKeys, storedKey } from './idempotency-keys.ts'
import { readDigest, readNumber } from '../statements/row-values.ts'

/** Makes sure that a run is stored only if no run with its key exists. */
export interface Unique {
  readonly key: string
  /** Considers only runs requested within this time. Default: any time. */
  readonly periodMs?: number | undefined
  /** Considers only runs in these states. */
  readonly states: readonly RunState[]
}

/**
 * Runs a statement of the store in a transaction and returns its rows. Each row is a list of values in the order of the columns, because
 * the driver of the transaction may rename columns.
 */
export type RunQuery = (query: Compilable) => Promise<readonly (readonly unknown[])[]>

export interface RunQueries {
  readonly query: RunQuery
  /**
   * Reads the data that is committed now. The transaction itself may read a snapshot from its beginning, and would miss a run that was
   * stored later.
   */
  readonly latest?: RunQuery | undefined
}

/**
 * Stores a run unless the job already has one with the same key. Returns the id of the existing or the new run.
 *
 * Creates the key's row first and then locks it, so that the second of two transactions with the same key waits for the first. Locking a
 * row that does not exist would lock the gap around it.
 *
 * @param asked the requested config and input, as JSON
 * @param insert stores the run and returns its id
 * @throws PikoError `IDEMPOTENCY_CONFLICT` if the existing run was requested with another config or input
 */
export async function storeUnique(
  database: Database,
  { query, latest }: RunQueries,
  jobId: string,
  { key, periodMs, states }: Unique,
  asked: { readonly config?: string | null; readonly input?: string | null },
  insert: () => Promise<number>,
): Promise<number> {
  const { db, dialect } = database
  const stored = storedKey(dialect, key)
  await query(makeKeys(db, dialect, jobId, [stored]))
  const since = periodMs === undefined ? undefined : dialect.nowPlus(-periodMs)
  const [known] = await query(
    db
      .selectFrom('piko_idempotency')
      .select([
        sql<number>`COALESCE(run_id, 0)`.as('run_id'),
        since ? sql<number>`created_at > ${since}`.as('is_recent') : sql<number>`1`.as('is_recent'),
      ])
      .where('job_id', '=', jobId)
      .where('idempotency_key', '=', stored)
      .modifyEnd(dialect.forUpdate),
  )
  const id = readNumber(known?.[0], 0)
  const isRecent = readNumber(known?.[1], 0) === 1
  if (id !== 0 && isRecent) {
    const select = storedRun(database, id, states)
    const [stored = (await latest?.(select))?.[0]] = await query(select)
    if (stored && isSame(dialect.name, stored, [asked.config, asked.input])) return id
    if (stored) throw conflict(jobId, key, id)
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

/**
 * Reads the request of a run. Returns no row if the run was deleted or is in another state. On MySQL it reads digests, which are the same
 * in any character set.
 */
function storedRun({ db, dialect }: Database, id: number, states: readonly RunState[]): Compilable {
  const text = (column: 'config' | 'input') => {
    const reference = sql.ref<string | null>(column)
    return (dialect.name === 'mysql' ? sql<string>`COALESCE(SHA2(${reference}, 256), '')` : reference).as(column)
  }
  return db
    .selectFrom('piko_run')
    .select([text('config'), text('input')])
    .where('id', '=', id)
    .where('state', 'in', states)
}

function isSame(
  dialect: Database['dialect']['name'],
  stored: readonly unknown[],
  asked: readonly (string | null | undefined)[],
): boolean {
  return asked.every((text = null, index) =>
    dialect === 'mysql' ? readDigest(stored[index]) === digestOf(text) : stored[index] === text,
  )
}

function digestOf(text: string | null): string {
  return text === null ? '' : createHash('sha256').update(text).digest('hex')
}

export function conflict(jobId: string, key: string, runId: number): PikoError {
  return new PikoError(
    'IDEMPOTENCY_CONFLICT',
    `run ${runId} of job "${jobId}" has the idempotency key "${key}" and was requested with another config or input; use another key or the same request`,
    { details: { jobId, key, runId } },
  )
}
