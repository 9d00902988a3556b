import type { RateLimit } from '../../run/limits.ts'
import type { RatePlace } from '../../run/run.ts'
import type { Database } from '../connection/database.ts'
import type { LimitStatus } from './limit-rows.ts'
import type { LimitAnswer, LimitRequest } from './reserve-places.ts'
import { type RateName, REFUSED_RATE_MS, RateWindows } from './rate-windows.ts'

/** A request for a run whose place has expired. */
export interface PlaceExchange extends RateName {
  readonly limit: RateLimit
  /** How often the run has missed its place; see `slackMs`. */
  readonly lateTries: number
  /** The place that the run did not use; undefined if it was already given back. */
  readonly unused: RatePlace | undefined
}

/** A request for a run whose first synchronous part took longer than its place allows. */
export interface PlaceDelay extends RateName {
  readonly limit: RateLimit
  /** The place that the run used. */
  readonly used: RatePlace
}

export type PlaceRequest = PlaceExchange | PlaceDelay

export type PlaceAnswer = { readonly place: RatePlace } | { readonly retryInMs: number }

/** Gives claimed runs their places in rates, and callers their places in limits that all nodes share. */
export class RateStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Exchanges places in one transaction: first gives back the unused ones and postpones the late ones, then takes new ones.
   *
   * @param monotonic the node's clock
   * @returns the answers in order
   * @throws PikoError `COMMIT_UNKNOWN`: an unused place may already be given back; do not send it again
   */
  async exchange(requests: readonly PlaceRequest[], monotonic: () => number): Promise<PlaceAnswer[]> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const jobs = trx.selectFrom('piko_job').select('id').orderBy('id').modifyEnd(dialect.forUpdate)
      await jobs.where('id', 'in', [...new Set(requests.map(({ jobId }) => jobId))]).execute()
      const rates = await RateWindows.read(trx, dialect, requests, monotonic)
      for (const request of requests) {
        if ('used' in request) rates.postpone(request, request.used)
        else if (request.unused) rates.giveBack(request, request.unused)
      }
      const answers = requests.map((request): PlaceAnswer => {
        if ('used' in request) return { place: request.used }
        const retryInMs = rates.untilTaken(request)
        return retryInMs > 0 ? { retryInMs } : { place: rates.take(request, request.lateTries) }
      })
      const refused = await rates.write(trx, dialect)
      if (refused.length === 0) return answers
      const isRefused = ({ jobId, key }: PlaceRequest): boolean =>
        refused.some((rate) => rate.jobId === jobId && rate.key === key)
      return answers.map((answer, index) =>
        isRefused(requests[index] as PlaceRequest) ? { retryInMs: REFUSED_RATE_MS } : answer,
      )
    })
  }

  /**
   * Takes places in a limit that all nodes share.
   *
   * @param monotonic the node's clock
   * @throws PikoError `COMMIT_UNKNOWN`: places may be taken that no caller uses, which only delays later callers
   */
  async reserve(request: LimitRequest, monotonic: () => number): Promise<LimitAnswer> {
    // Loaded at the first use, since most nodes have no such limit.
    const { reservePlaces } = await import('./reserve-places.ts')
    return reservePlaces(this.#database, request, monotonic)
  }

  /** Lists the shared rate limits that have counts, by name. */
  async limits(limit: number, after?: string): Promise<LimitStatus[]> {
    const { listLimits } = await import('./limit-rows.ts')
    return listLimits(this.#database, limit, after)
  }

  /**
   * Deletes the counts of a shared rate limit.
   *
   * @returns whether there were any
   */
  async reset(name: string): Promise<boolean> {
    const { resetLimit } = await import('./limit-rows.ts')
    return resetLimit(this.#database, name)
  }
}
