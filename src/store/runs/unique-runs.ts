import { isOneOf } from '../../errors-read.ts'
import { sql, type Transaction } from 'kysely'
import { PikoError } from '../../errors.ts'
import { chunksOf } from '../statements/chunks.ts'
import { keysInOrder, makeKeys, MAX_KEYS, storedKey } from './idempotency-keys.ts'
import type { Dialect } from '../connection/dialect.ts'
import { insertRuns, type NewRow } from './insert-rows.ts'
import { mapInTurns } from '../../loop-turn.ts'
import type { Tables } from '../tables.ts'
import { conflict, type Unique } from './unique-run.ts'

/** A run to store; with `unique`, only if the job has none with the same key. */
export interface UniqueRequest {
  readonly unique?: Unique | undefined
  readonly row: NewRow
}

/** The run that has a key. It is either stored already, or one of the new runs of this call, given by its position. */
interface Holder {
  readonly runId: number | undefined
  readonly place: number | undefined
  readonly state: string
  readonly config: unknown
  readonly input: unknown
  readonly isWithin: (periodMs: number) => boolean
}

/**
 * Does for many runs of one job what `storeUnique` does for one run. The result is the same as if they were requested one after another.
 * Needs a few statements per hundred keys. Returns the ids in the order of the runs.
 *
 * @throws PikoError `IDEMPOTENCY_CONFLICT`
 */
export async function storeUniqueMany(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  requests: readonly UniqueRequest[],
): Promise<number[]> {
  const stored = (key: string): string => storedKey(dialect, key)
  const keys = await keysInOrder(dialect, requests)
  const periods = new Set<number>()
  for (const { unique } of requests) if (unique?.periodMs !== undefined) periods.add(unique.periodMs)
  const holders = await lockKeys(trx, dialect, jobId, keys, [...periods])
  const rows: NewRow[] = []
  const taken = await mapInTurns(requests, ({ unique, row }): Pick<Holder, 'runId' | 'place'> => {
    const known = unique && holders.get(stored(unique.key))
    if (known && counts(known, unique)) {
      if (known.config === (row.config ?? null) && known.input === (row.input ?? null)) return known
      throw known.runId === undefined ? conflictWithin(jobId, unique.key) : conflict(jobId, unique.key, known.runId)
    }
    const place = rows.push(row) - 1
    if (unique) holders.set(stored(unique.key), newHolder(place, row))
    return { runId: undefined, place }
  })
  const ids = rows.length === 0 ? [] : await insertRuns(trx, dialect, rows)
  const idOf = ({ runId, place = -1 }: Pick<Holder, 'runId' | 'place'>): number => runId ?? (ids[place] as number)
  const kept: { key: string; runId: number }[] = []
  await mapInTurns([...holders], ([key, holder]) => {
    if (holder.place !== undefined) kept.push({ key, runId: idOf(holder) })
  })
  await keepKeys(trx, dialect, jobId, kept)
  return mapInTurns(taken, idOf)
}

function counts({ state, isWithin }: Holder, { states, periodMs }: Unique): boolean {
  return isOneOf(states, state) && (periodMs === undefined || isWithin(periodMs))
}

function newHolder(place: number, { config, input }: NewRow): Holder {
  return {
    ...{ runId: undefined, place, state: 'queued', config: config ?? null, input: input ?? null },
    isWithin: (periodMs) => periodMs > 0,
  }
}

interface KeyRow {
  readonly idempotency_key: string
  readonly run_id: number | null
  /** Columns such as `within_0`: whether the run was stored within the period with this index. */
  readonly [within: string]: unknown
}

/** Creates the rows of new keys, locks all of them, and reads the runs that have the keys. */
async function lockKeys(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  keys: readonly string[],
  periods: readonly number[],
): Promise<Map<string, Holder>> {
  const holders = new Map<string, Holder>()
  for (const some of chunksOf(keys, MAX_KEYS)) {
    await makeKeys(trx, dialect, jobId, some).execute()
    const known: readonly KeyRow[] = await trx
      .selectFrom('piko_idempotency')
      .select(['idempotency_key', 'run_id'])
      .select(periods.map((ms, index) => sql<number>`created_at > ${dialect.nowPlus(-ms)}`.as(`within_${index}`)))
      .where('job_id', '=', jobId)
      .where('idempotency_key', 'in', some)
      .modifyEnd(dialect.forUpdate)
      .execute()
    const runIds = known.flatMap(({ run_id: id }) => (id === null ? [] : [Number(id)]))
    if (runIds.length === 0) continue
    const runs = await trx
      .selectFrom('piko_run')
      .select(['id', 'state', 'config', 'input'])
      .where('id', 'in', runIds)
      .execute()
    const byId = new Map(runs.map((run) => [Number(run.id), run]))
    for (const row of known) {
      const run = row.run_id === null ? undefined : byId.get(Number(row.run_id))
      if (!run) continue
      const isWithin = (ms: number): boolean => Number(row[`within_${periods.indexOf(ms)}`]) === 1
      holders.set(row.idempotency_key, { ...run, runId: Number(run.id), place: undefined, isWithin })
    }
  }
  return holders
}

async function keepKeys(
  trx: Transaction<Tables>,
  dialect: Dialect,
  jobId: string,
  kept: readonly { readonly key: string; readonly runId: number }[],
): Promise<void> {
  for (const some of chunksOf(kept, MAX_KEYS)) {
    const cases = some.map(({ key, runId }) => sql`WHEN ${key} THEN ${runId}`)
    await trx
      .updateTable('piko_idempotency')
      .set({
        run_id: sql<number>`CASE idempotency_key ${sql.join(cases, sql` `)} END`,
        created_at: dialect.now(),
      })
      .where('job_id', '=', jobId)
      .where(
        'idempotency_key',
        'in',
        some.map(({ key }) => key),
      )
      .execute()
  }
}

function conflictWithin(jobId: string, key: string): PikoError {
  return new PikoError(
    'IDEMPOTENCY_CONFLICT',
    `two runs of job "${jobId}" in one call have the same idempotency key "${key}" but different configs or inputs; use another key for one of them`,
    { details: { jobId, key } },
  )
}
