import { type ExpressionBuilder, type Selectable, sql, type SqlBool, type Transaction } from 'kysely'
import type { AdmissionLimits } from '../../run/limits.ts'
import type { RatePlace } from '../../run/run.ts'
import { BackfillLimits } from '../backfills/backfill-limits.ts'
import type { Dialect } from '../connection/dialect.ts'
import { type RateName, REFUSED_RATE_MS, type RefusedRate, RateWindows } from './rate-windows.ts'
import { RUNNING } from '../runs/run-states.ts'
import type { RunTable, Tables } from '../tables.ts'
import type { Blocked } from './blocked.ts'

type Candidate = Pick<Selectable<RunTable>, 'id' | 'job_id' | 'concurrency_key' | 'rate_key' | 'backfill_id'>

/**
 * Returns the candidates for an early claim: runs of jobs without limits, up to the priority of the first run of a job with limits. A less
 * urgent run that is claimed early could take the slot that this first run needs when it is due.
 */
export function withoutLimited<T extends { readonly job_id: string; readonly priority?: number }>(
  candidates: readonly T[],
  limits: ReadonlyMap<string, AdmissionLimits>,
): { readonly rows: readonly T[]; readonly leftPriority: number | undefined } {
  const leftPriority = candidates.find((row) => limits.has(row.job_id))?.priority
  if (leftPriority === undefined) return { rows: candidates, leftPriority }
  const rows = candidates.filter((row) => !limits.has(row.job_id) && (row.priority ?? 0) <= leftPriority)
  return { rows, leftPriority }
}

/** How long to wait if another transaction, such as a claim, has locked the job's row. Such a lock lasts a few milliseconds. */
const BUSY_MS = 15

interface Admission<T> {
  readonly admitted: T[]
  readonly blocked: Blocked[]
  readonly places: ReadonlyMap<number, RatePlace>
  /** Rates whose rows the database refuses. Their runs are in `blocked`. */
  readonly refused: readonly RefusedRate[]
}

/**
 * Admits only candidates within the limits of their jobs.
 *
 * While it counts the running runs of a job with limits, it locks the job's row, so that two nodes can't both start the last allowed run.
 * It counts the runs themselves, so a crash can't leave a wrong count. If another transaction has locked the row, the job is skipped for
 * now, because a claim never waits. Backfills are locked and counted in the same way.
 */
export async function admit<T extends Candidate>(
  trx: Transaction<Tables>,
  dialect: Dialect,
  candidates: readonly T[],
  limits: ReadonlyMap<string, AdmissionLimits>,
  monotonic: () => number,
): Promise<Admission<T>> {
  const limited = [...new Set(candidates.map((row) => row.job_id))].filter((id) => limits.has(id))
  const backfilled = candidates.some((row) => row.backfill_id !== null)
  if (limited.length === 0 && !backfilled)
    return { admitted: [...candidates], blocked: [], places: NO_PLACES, refused: [] }
  const busy = new Set(await lockJobs(trx, dialect, limited))
  const mine = limited.filter((id) => !busy.has(id))
  const counts = await Counts.read(trx, mine, limits)
  const backfills = await BackfillLimits.read(trx, dialect, candidates)
  const isMine = new Set(mine)
  const named = candidates.flatMap((row) => (isMine.has(row.job_id) ? (rateOf(row, limits) ?? []) : []))
  const rates = await RateWindows.read(trx, dialect, named, monotonic)
  const places = new Map<number, RatePlace>()
  const blocked = new Map<string, Blocked>()
  const block = (reason: Blocked): void => void blocked.set(JSON.stringify(reason), reason)
  for (const jobId of busy) block({ jobId, retryInMs: BUSY_MS })
  const admitted = candidates.filter((row) => {
    if (busy.has(row.job_id)) return false
    const limit = limits.get(row.job_id)
    const rate = rateOf(row, limits)
    const reason = backfills.blocks(row) ?? (limit && counts.blocks(row, limit)) ?? (rate && rateBlocks(rates, rate))
    if (reason) {
      block(reason)
      return false
    }
    backfills.add(row)
    if (limit) counts.add(row)
    if (rate) places.set(row.id, rates.take(rate))
    return true
  })
  const refused = await rates.write(trx, dialect)
  for (const rate of refused) block(refusedRate(rate, limits))
  const isKept = (row: T): boolean => !refused.some((one) => isOf(one, rateOf(row, limits)))
  const kept = refused.length === 0 ? admitted : admitted.filter(isKept)
  return { admitted: kept, blocked: [...blocked.values()], places, refused }
}

function isOf(refused: RefusedRate, rate: NamedRate | undefined): boolean {
  return rate !== undefined && rate.jobId === refused.jobId && rate.key === refused.key
}

/** Returns the block for the runs of a rate whose places can't be stored. Runs with other rates continue. */
function refusedRate({ jobId, key }: RefusedRate, limits: ReadonlyMap<string, AdmissionLimits>): Blocked {
  const isKeyed = limits.get(jobId)?.rate?.isKeyed
  return { jobId, ...(isKeyed && { rateKey: key }), retryInMs: REFUSED_RATE_MS }
}

const NO_PLACES: ReadonlyMap<number, RatePlace> = new Map()

type NamedRate = RateName & { readonly limit: NonNullable<AdmissionLimits['rate']> }

/** Returns the rate that limits a run; undefined if there is none. */
function rateOf(row: Candidate, limits: ReadonlyMap<string, AdmissionLimits>): NamedRate | undefined {
  const limit = limits.get(row.job_id)?.rate
  const key = limit?.isKeyed ? row.rate_key : ''
  return limit && key !== null ? { jobId: row.job_id, key, limit } : undefined
}

function rateBlocks(rates: RateWindows, rate: NamedRate): Blocked | undefined {
  const retryInMs = rates.untilTaken(rate)
  if (retryInMs === 0) return undefined
  return { jobId: rate.jobId, ...(rate.limit.isKeyed && { rateKey: rate.key }), retryInMs }
}

/** Returns the conditions that exclude blocked runs from a claim. */
export function without(
  blocked: readonly Blocked[],
): ((eb: ExpressionBuilder<Tables, 'piko_run'>) => ReturnType<typeof sql<SqlBool>>)[] {
  const conditions: ReturnType<typeof without> = []
  const whole = blocked.filter(
    (one) => one.concurrencyKey === undefined && one.rateKey === undefined && one.backfillId === undefined,
  )
  const scheduled = blocked.filter(({ backfillId }) => backfillId === null).map(({ jobId }) => jobId)
  const backfills = blocked.flatMap(({ backfillId }) => backfillId ?? [])
  if (scheduled.length > 0)
    conditions.push(() => sql<SqlBool>`(backfill_id IS NOT NULL OR job_id NOT IN (${sql.join(scheduled)}))`)
  if (backfills.length > 0)
    conditions.push(() => sql<SqlBool>`(backfill_id IS NULL OR backfill_id NOT IN (${sql.join(backfills)}))`)
  if (whole.length > 0) conditions.push(() => sql<SqlBool>`job_id NOT IN (${sql.join(whole.map((one) => one.jobId))})`)
  for (const [column, keyOf] of KEYS) {
    const keyed = blocked.filter((one) => keyOf(one) !== undefined)
    for (const [jobId, ones] of Map.groupBy(keyed, (one) => one.jobId)) {
      const keys = sql.join(ones.map((one) => keyOf(one)))
      const name = sql.ref(column)
      conditions.push(() => sql<SqlBool>`(job_id <> ${jobId} OR ${name} IS NULL OR ${name} NOT IN (${keys}))`)
    }
  }
  return conditions
}

const KEYS = [
  ['concurrency_key', (one: Blocked) => one.concurrencyKey],
  ['rate_key', (one: Blocked) => one.rateKey],
] as const

/**
 * Locks the rows of jobs. Returns the jobs that another transaction has already locked. A job that was never registered has no row, so no
 * other node runs it.
 */
async function lockJobs(trx: Transaction<Tables>, dialect: Dialect, jobIds: readonly string[]): Promise<string[]> {
  const jobs = trx.selectFrom('piko_job').select('id')
  const locked = await jobs.where('id', 'in', jobIds).orderBy('id').modifyEnd(dialect.forUpdateSkipLocked).execute()
  const missing = jobIds.filter((id) => !locked.some((row) => row.id === id))
  if (missing.length === 0) return []
  return (await jobs.where('id', 'in', missing).execute()).map((row) => row.id)
}

/** How many runs are running: by job, by job and key, and by job without the runs of backfills. */
class Counts {
  readonly #counts = new Map<string, number>()

  static async read(
    trx: Transaction<Tables>,
    jobIds: readonly string[],
    limits: ReadonlyMap<string, AdmissionLimits>,
  ): Promise<Counts> {
    const counts = new Counts()
    const isDetailed = (id: string): boolean => {
      const { perKey, parallel } = limits.get(id) ?? {}
      return perKey !== undefined || parallel !== undefined
    }
    const detailed = jobIds.filter(isDetailed)
    // For these jobs, the index alone is enough to count.
    const plain = jobIds.filter((id) => limits.get(id)?.concurrency !== undefined && !isDetailed(id))
    if (plain.length > 0) {
      const rows = await trx
        .selectFrom('piko_run')
        .select((eb) => ['job_id', eb.fn.countAll<number>().as('count')])
        .where('state', '=', RUNNING)
        .where('job_id', 'in', plain)
        .groupBy('job_id')
        .execute()
      for (const row of rows) counts.#add({ ...row, concurrency_key: null, backfill_id: null }, Number(row.count))
    }
    if (detailed.length > 0) {
      const rows = await trx
        .selectFrom('piko_run')
        .select((eb) => ['job_id', 'concurrency_key', 'backfill_id', eb.fn.countAll<number>().as('count')])
        .where('state', '=', RUNNING)
        .where('job_id', 'in', detailed)
        .groupBy(['job_id', 'concurrency_key', 'backfill_id'])
        .execute()
      for (const row of rows) counts.#add(row, Number(row.count))
    }
    return counts
  }

  blocks(row: Counted, limit: AdmissionLimits): Blocked | undefined {
    const { job_id: jobId, concurrency_key: key } = row
    if (limit.concurrency !== undefined && this.#of(ofJob(row)) >= limit.concurrency) return { jobId }
    if (limit.parallel !== undefined && row.backfill_id === null && this.#of(ofSchedule(row)) >= limit.parallel)
      return { jobId, backfillId: null }
    if (limit.perKey !== undefined && key !== null && this.#of(ofKey(row)) >= limit.perKey)
      return { jobId, concurrencyKey: key }
    return undefined
  }

  add(row: Counted): void {
    this.#add(row, 1)
  }

  #add(row: Counted, count: number): void {
    const names = [ofJob(row), ...(row.concurrency_key === null ? [] : [ofKey(row)])]
    if (row.backfill_id === null) names.push(ofSchedule(row))
    for (const name of names) this.#counts.set(name, this.#of(name) + count)
  }

  #of(name: string): number {
    return this.#counts.get(name) ?? 0
  }
}

type Counted = Pick<Candidate, 'job_id' | 'concurrency_key' | 'backfill_id'>

const ofJob = ({ job_id: jobId }: Counted): string => jobId
const ofSchedule = ({ job_id: jobId }: Counted): string => `${jobId}\n`
const ofKey = ({ job_id: jobId, concurrency_key: key }: Counted): string => `${jobId}\n\n${key ?? ''}`
