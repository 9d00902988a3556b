import { toError } from '../../errors.ts'
import { type Claim, type RatePlace } from '../../run/run.ts'
import { type JobDefinition } from '../../job/spec.ts'
import { type RunSinks } from '../../sink/sink-pool.ts'
import { type RunLocks } from './run-locks.ts'
import { type Logger } from '../../logger.ts'

/** What an attempt gets from those who execute it. */
export interface AttemptParts {
  /** Makes the logger of the run; asked for when somebody logs first. */
  readonly runLog: (claim: Claim) => Logger
  /** The attempt is to end early. Called once, after its signal has aborted. */
  readonly onAbort: (attempt: Attempt) => void
}

/**
 * A claim under way, and the one signal that ends it early.
 *
 * Thousands are under way at once and most never look at their signal or their log, so both are made when they are first asked for.
 */
export class Attempt {
  readonly claim: Claim
  readonly nodeId: string
  readonly job: JobDefinition
  readonly startedAt: number
  /** The handler went on after the grace time, and was left alone. */
  isGivenUp = false
  /** Its outcome is known; what still comes of it has no effect. */
  isOver = false
  /**
   * `'sent'`: nothing can stop the commit any more, and only its answer tells how the run ended. `'done'`: the handler has
   * ended the run by `ctx.commit`, and nothing that follows changes that.
   */
  commit: 'none' | 'begun' | 'sent' | 'done' = 'none'
  committing: Promise<unknown> | undefined
  /** Those that the handler has taken. */
  locks: RunLocks | undefined
  sinks: RunSinks | undefined
  /** The place within a rate that it uses. */
  place: RatePlace | undefined
  /** Take its deadlines back. */
  cancelTimeout: (() => void) | undefined
  cancelGrace: (() => void) | undefined
  readonly #parts: AttemptParts
  #controller: AbortController | undefined
  #reason: Error | undefined
  #log: Logger | undefined

  constructor(claim: Claim, nodeId: string, job: JobDefinition, startedAt: number, parts: AttemptParts) {
    this.claim = claim
    this.place = claim.place
    this.nodeId = nodeId
    this.job = job
    this.startedAt = startedAt
    this.#parts = parts
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#reason) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  get log(): Logger {
    return (this.#log ??= this.#parts.runLog(this.claim))
  }

  /** Why it is to end early; undefined while it is not. */
  get abortReason(): Error | undefined {
    return this.#reason
  }

  /** The first reason stands. */
  abort(reason: unknown): void {
    if (this.#reason) return
    this.#reason = toError(reason)
    this.#controller?.abort(this.#reason)
    this.#parts.onAbort(this)
  }

  throwIfAborted(): void {
    if (this.#reason) throw this.#reason
  }
}
