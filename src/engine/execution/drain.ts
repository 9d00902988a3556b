import { PikoError } from '../../errors.ts'
import type { Clock } from '../../clock.ts'
import type { LiveAttempt } from '../attempt/live-attempt.ts'
import { DrainReport } from './drain-report.ts'
import type { StopPlan } from './stop-plan.ts'
import { abortTaken, type Taken } from './taken.ts'

export interface DrainParts {
  readonly clock: Clock
  readonly plan: StopPlan
  /** Claims whose outcomes are not stored yet, by fence. */
  readonly taken: ReadonlyMap<number, Taken>
  /** Returns to the queue all claims whose handlers have not begun. */
  readonly handOver: () => void
  /** Ends a run without its handler. */
  readonly giveUp: (taken: Taken, attempt: LiveAttempt) => void
  /** Stops waiting for a database that does not answer. */
  readonly abandon: () => void
  readonly onDone: (report: DrainReport) => void
}

/** Returns the error with which a stopping node ends a run. */
export function leaving(): PikoError {
  return new PikoError('STOPPED', 'this node is stopping; the run returns to the queue, and the attempt does not count')
}

/** Waits for runs until the deadline. Then it returns the remaining runs to the queue, and their attempts are not counted. */
export class Drain {
  readonly report = new DrainReport()
  /** Resolves when the outcome of every run is stored or given up. */
  readonly done: Promise<void>
  readonly #parts: DrainParts
  readonly #noMore = Promise.withResolvers<void>()
  #onIdle: (() => void) | undefined
  #isLeaving = false

  constructor(parts: DrainParts) {
    this.#parts = parts
    this.done = this.#drain().then(() => parts.onDone(this.report))
  }

  /** Whether the running attempts have been aborted. From then on, claims return to the queue. */
  get isLeaving(): boolean {
    return this.#isLeaving
  }

  /** Tells the drain that no more runs will be claimed. */
  noMore(): void {
    this.#noMore.resolve()
  }

  /** Tells the drain that the outcome of the last claim is stored. */
  idle(): void {
    this.#onIdle?.()
  }

  async #drain(): Promise<void> {
    const { plan, taken, abandon } = this.#parts
    const over = this.#noMore.promise.then(() => this.#whenIdle())
    if (await this.#atMost(plan.abortAtMs, over)) return
    this.#isLeaving = true
    this.#parts.handOver()
    const reason = leaving()
    for (const one of taken.values()) abortTaken(one, reason)
    if (await this.#atMost(plan.giveUpAtMs - plan.abortAtMs, over)) return
    this.#giveUpAll()
    if (await this.#atMost(plan.abandonAtMs - plan.giveUpAtMs, over)) return
    for (const { claim } of taken.values()) this.report.leftBehind(claim)
    abandon()
  }

  /** Ends the remaining runs without waiting for their handlers. */
  #giveUpAll(): void {
    for (const taken of this.#parts.taken.values()) {
      const { attempt, claim } = taken
      if (!attempt || attempt.isOver) continue
      this.report.stillRuns(claim)
      this.#parts.giveUp(taken, attempt)
    }
  }

  async #whenIdle(): Promise<void> {
    if (this.#parts.taken.size > 0) await new Promise<void>((resolve) => (this.#onIdle = resolve))
  }

  /**
   * Waits for `work`, but at most `ms`. If `work` ends first, the timer is removed.
   *
   * @returns whether `work` has ended
   */
  async #atMost(ms: number, work: Promise<void>): Promise<boolean> {
    const done = new AbortController()
    await Promise.race([work.then(() => done.abort()), this.#parts.clock.sleep(ms, done.signal)])
    return done.signal.aborted
  }
}
