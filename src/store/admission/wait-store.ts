import { type ExpressionBuilder, sql, type SqlBool } from 'kysely'
import type { AdmissionLimits, RateLimit } from '../../run/limits.ts'
import type { Database } from '../connection/database.ts'
import { RUNNING } from '../runs/run-states.ts'
import type { Tables } from '../tables.ts'
import { startsSince, storedStarts } from './rate-starts.ts'
import { RateWindows } from './rate-windows.ts'

/** A limit for concurrent runs, and the runs that use it. */
export interface UsedLimit {
  readonly limit: number
  readonly running: number
  /** Some of the running runs, the oldest first. */
  readonly runIds: readonly number[]
}

/** The limits that may make a due run wait, and how much of each is used. A limit that does not apply to the run is undefined. */
export interface RunWaits {
  readonly concurrency: UsedLimit | undefined
  readonly parallel: UsedLimit | undefined
  readonly perKey: (UsedLimit & { readonly key: string }) | undefined
  readonly backfill: UsedLimit | undefined
  /** `inMs`: after how many milliseconds the next attempt may begin; 0: now. */
  readonly rate: (RateLimit & { readonly key: string | undefined; readonly inMs: number }) | undefined
}

type Condition = (eb: ExpressionBuilder<Tables, 'piko_run'>) => ReturnType<typeof sql<SqlBool>>

/** How many runs are named for each limit. */
const NAMED = 5
/** The maximum number of keys of a rate that are read to find the one with the most attempts. */
const MAX_KEYS = 1_000

/** Finds out what a due run waits for. Only reads, and locks no rows. */
export class WaitStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** @param limits the limits of the run's job @param parallel the limit of the run's backfill */
  async read(
    {
      id,
      jobId,
      backfillId,
    }: { readonly id: number; readonly jobId: string; readonly backfillId?: number | undefined },
    limits: AdmissionLimits,
    parallel: number | undefined,
  ): Promise<RunWaits> {
    const row = await this.#database.db
      .selectFrom('piko_run')
      .select(['concurrency_key', 'rate_key'])
      .where('id', '=', id)
      .executeTakeFirst()
    const key = row?.concurrency_key ?? undefined
    const used = (limit: number | undefined, condition?: Condition) => this.#used(jobId, limit, condition)
    const perKey = key === undefined ? undefined : await used(limits.perKey, () => sql`concurrency_key = ${key}`)
    return {
      concurrency: await used(limits.concurrency),
      parallel: backfillId === undefined ? await used(limits.parallel, () => sql`backfill_id IS NULL`) : undefined,
      perKey: perKey && key !== undefined ? { ...perKey, key } : undefined,
      backfill: backfillId === undefined ? undefined : await used(parallel, () => sql`backfill_id = ${backfillId}`),
      rate: limits.rate && (await this.#rate(jobId, limits.rate, row?.rate_key ?? undefined)),
    }
  }

  /** Returns how many attempts currently count for a job's rate. If the rate has a key: those of the key with the most attempts. */
  async rateUse(
    jobId: string,
    limit: NonNullable<AdmissionLimits['rate']>,
  ): Promise<{ readonly taken: number; readonly key: string | undefined }> {
    const { db, dialect } = this.#database
    const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
    const nowMs = dialect.date(now).getTime()
    const rows = await db
      .selectFrom('piko_rate')
      .select(['rate_key', 'starts'])
      .where('job_id', '=', jobId)
      .limit(MAX_KEYS)
      .execute()
    let most = { taken: 0, key: undefined as string | undefined }
    for (const { rate_key: key, starts } of rows) {
      if (!limit.isKeyed && key !== '') continue
      const taken = startsSince(storedStarts(starts), nowMs, limit).reduce((sum, [, count]) => sum + count, 0)
      if (taken > most.taken) most = { taken, key: limit.isKeyed ? key : undefined }
    }
    return most
  }

  async #used(jobId: string, limit: number | undefined, condition?: Condition): Promise<UsedLimit | undefined> {
    if (limit === undefined) return undefined
    const running = this.#database.db
      .selectFrom('piko_run')
      .where('state', '=', RUNNING)
      .where('job_id', '=', jobId)
      .$if(condition !== undefined, (query) => query.where((eb) => condition?.(eb) ?? sql`1 = 1`))
    const { count } = await running.select((eb) => eb.fn.countAll<number>().as('count')).executeTakeFirstOrThrow()
    const named = await running.select('id').orderBy('id').limit(NAMED).execute()
    return { limit, running: Number(count), runIds: named.map((one) => Number(one.id)) }
  }

  async #rate(
    jobId: string,
    { limit, perMs, isKeyed }: NonNullable<AdmissionLimits['rate']>,
    rateKey: string | undefined,
  ): Promise<RunWaits['rate']> {
    if (isKeyed && rateKey === undefined) return undefined
    const name = { jobId, key: isKeyed ? (rateKey ?? '') : '' }
    const { dialect, transaction } = this.#database
    const inMs = await transaction(async (trx) => {
      const rates = await RateWindows.read(trx, dialect, [{ ...name, limit: { limit, perMs } }], () => 0)
      return rates.untilTaken(name)
    })
    return { limit, perMs, key: isKeyed ? name.key : undefined, inMs }
  }
}
