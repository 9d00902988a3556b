import { toError } from '../../errors.ts'
import type { AdmissionLimits } from '../../run/limits.ts'
import type { RatePlace } from '../../run/run.ts'
import type { PlaceAnswer, PlaceDelay, PlaceRequest, RateStore } from '../../store/admission/rate-store.ts'
import type { Events } from '../../events.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'
import { Batcher } from '../loop/batcher.ts'
import type { Clock } from '../../clock.ts'
import type { Blocked } from '../../store/admission/blocked.ts'

/**
 * If a run can't begin within this time, in milliseconds, it returns to the queue. While it is waiting, it holds a slot and resources that
 * others need.
 */
const PATIENCE_MS = 1_000
const OUTAGE_MS = 200
const MAX_REQUESTS = 1_000

export interface RateGateParts {
  readonly rates: Pick<RateStore, 'exchange'>
  readonly clock: Clock
  readonly events: Events
  /** Whether this node certainly still holds its lease. */
  readonly holdsLease: () => boolean
}

/**
 * A claim of a job with a rate limit has a place: a short period in which it may begin. A run misses its place if its resources or the
 * event loop delay it. Then it waits here for another place. All runs that are late in the same turn of the event loop get new places in
 * one transaction.
 */
export class RateGate {
  readonly #parts: RateGateParts
  readonly #batcher: Batcher<PlaceRequest, PlaceAnswer>
  readonly #waiting = new Set<Blocked>()

  constructor(parts: RateGateParts) {
    this.#parts = parts
    this.#batcher = new Batcher((requests) => this.#exchange(requests), { largest: MAX_REQUESTS })
  }

  /** The rate limits of the late runs. New claims leave them out, because they would take the places that the late runs need. */
  get waiting(): readonly Blocked[] {
    return [...this.#waiting]
  }

  /** Whether the handler may begin at this moment. */
  isOpen({ opensAt, closesAt }: RatePlace): boolean {
    const now = this.#parts.clock.monotonic()
    return now >= opensAt && now <= closesAt
  }

  /**
   * Waits until the run's place is open, then calls `begin` in the same turn of the event loop.
   *
   * @param leave called instead if the run must return to the queue
   * @throws the reason of the attempt's abort
   */
  async pass<T>(attempt: LiveAttempt, given: RatePlace, begin: () => T, leave: () => T): Promise<Awaited<T>> {
    const { claim } = attempt
    const { clock, holdsLease } = this.#parts
    const limit = limitOf(attempt)
    const name = { jobId: claim.jobId, key: given.key, limit }
    const waiting = { jobId: claim.jobId, ...(limit.isKeyed && { rateKey: given.key }) }
    const until = clock.monotonic() + PATIENCE_MS
    let unused: RatePlace | undefined = given
    let lateTries = 1
    try {
      for (;;) {
        if (unused) await this.#untilOpen(attempt, unused)
        if (!holdsLease()) break
        if (unused && this.isOpen(unused)) {
          this.#waiting.delete(waiting)
          attempt.place = unused
          return await begin()
        }
        this.#waiting.add(waiting)
        const answer: PlaceAnswer = await this.#batcher.add({ ...name, lateTries, unused })
        attempt.throwIfAborted()
        unused = 'place' in answer ? answer.place : undefined
        if ('place' in answer) lateTries += 1
        else if (clock.monotonic() + answer.retryInMs > until) break
        else await this.#sleep(attempt, answer.retryInMs)
      }
    } finally {
      this.#waiting.delete(waiting)
    }
    return await leave()
  }

  /**
   * Called after the first synchronous part of the handler. If this part has ended too late for the place, records a later use of the
   * place.
   */
  begun(attempt: LiveAttempt): void {
    const { place: used } = attempt
    if (!used || this.#parts.clock.monotonic() <= used.overAt) return
    const request = { jobId: attempt.claim.jobId, key: used.key, limit: limitOf(attempt), used }
    void this.#postpone(request)
  }

  /** Stores that the place was used late. Tries again until this succeeds or would no longer have an effect. */
  async #postpone(request: PlaceDelay): Promise<void> {
    const { clock } = this.#parts
    const until = request.used.overAt + request.limit.perMs
    for (;;) {
      const answer = await this.#batcher.add(request)
      if ('place' in answer || clock.monotonic() + answer.retryInMs > until) return
      await clock.sleep(answer.retryInMs)
    }
  }

  async #untilOpen(attempt: LiveAttempt, { opensAt }: RatePlace): Promise<void> {
    for (;;) {
      const ms = opensAt - this.#parts.clock.monotonic()
      if (ms <= 0) return
      await this.#sleep(attempt, Math.ceil(ms))
    }
  }

  async #sleep(attempt: LiveAttempt, ms: number): Promise<void> {
    await this.#parts.clock.sleep(ms, attempt.signal)
    attempt.throwIfAborted()
  }

  async #exchange(requests: readonly PlaceRequest[]): Promise<PlaceAnswer[]> {
    try {
      return await this.#parts.rates.exchange(requests, () => this.#parts.clock.monotonic())
    } catch (thrown) {
      this.#parts.events.emit('loop.failed', { loop: 'rate', error: toError(thrown), retryInMs: OUTAGE_MS })
      return requests.map(() => ({ retryInMs: OUTAGE_MS }))
    }
  }
}

function limitOf({ job }: LiveAttempt): NonNullable<AdmissionLimits['rate']> {
  const limit = job.policy.limits?.rate
  // A claim has a place only if its job has a rate limit, so this can't happen.
  if (!limit) throw new TypeError(`job "${job.id}" has a place in a rate but no rate`)
  return limit
}
