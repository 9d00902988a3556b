import { toError } from '../errors.ts'
import { type RatePlace } from '../job/run.ts'
import { type Blocked } from '../store/admission.ts'
import { type PlaceAnswer, type PlaceRequest, type RateStore } from '../store/rate-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Attempt } from './attempt.ts'
import { Batcher } from './batcher.ts'
import { type Clock } from './clock.ts'

/** A run that finds no place within this time goes back to the queue: it holds a slot, and resources that others wait for. */
const PATIENCE_MS = 1_000
const OUTAGE_MS = 200
const MAX_REQUESTS = 1_000

export interface RateGateParts {
  readonly rates: Pick<RateStore, 'exchange'>
  readonly clock: Clock
  readonly events: Events
  /** Whether this node's lease is its own for sure. */
  readonly holdsLease: () => boolean
}

/**
 * Where runs wait that were too late for their places within a rate: they were claimed in time, but their resources or the event
 * loop kept them waiting. The late runs of one turn of the event loop exchange their places in one transaction.
 */
export class RateGate {
  readonly #parts: RateGateParts
  readonly #batcher: Batcher<PlaceRequest, PlaceAnswer>
  readonly #waiting = new Set<Blocked>()

  constructor(parts: RateGateParts) {
    this.#parts = parts
    this.#batcher = new Batcher((requests) => this.#exchange(requests), { largest: MAX_REQUESTS })
  }

  /** The rates of the late runs. A claim would take the places that they wait for. */
  get waiting(): readonly Blocked[] {
    return [...this.#waiting]
  }

  /** Whether the handler may begin at this moment. */
  isOpen(place: RatePlace): boolean {
    return this.#parts.clock.monotonic() - place.askedAt <= place.validMs
  }

  /**
   * Calls `begin` as soon as the run has a valid place, in the same turn of the event loop.
   *
   * @param leave called instead when the run has to go back to the queue
   * @throws the reason of the attempt's abort
   */
  async pass<T>(attempt: Attempt, late: RatePlace, begin: () => T, leave: () => T): Promise<Awaited<T>> {
    const { claim, job } = attempt
    const { clock, holdsLease } = this.#parts
    const limit = job.policy.limits?.rate
    // The claim goes by the same definition.
    if (!limit) throw new TypeError(`job "${job.id}" has a place within a rate, and no rate`)
    const name = { jobId: claim.jobId, key: late.key, limit }
    const waiting = { jobId: claim.jobId, ...(limit.isKeyed && { rateKey: late.key }) }
    const until = clock.monotonic() + PATIENCE_MS
    let unused: RatePlace | undefined = late
    let lateTries = 1
    this.#waiting.add(waiting)
    try {
      for (;;) {
        const answer: PlaceAnswer = await this.#batcher.add({ ...name, lateTries, unused })
        attempt.throwIfAborted()
        if (!holdsLease()) break
        unused = 'place' in answer ? answer.place : undefined
        if ('place' in answer) {
          if (this.isOpen(answer.place)) {
            this.#waiting.delete(waiting)
            return await begin()
          }
          lateTries += 1
        } else {
          if (clock.monotonic() + answer.retryInMs > until) break
          await clock.sleep(answer.retryInMs, attempt.signal)
          attempt.throwIfAborted()
        }
      }
    } finally {
      this.#waiting.delete(waiting)
    }
    return await leave()
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
