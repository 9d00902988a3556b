import { toError } from '../../errors.ts'
import { type Claim, type RatePlace } from '../../run/run.ts'
import { type JobDefinition } from '../../job/spec.ts'
import { type RunSinks } from '../../sink/sink-pool.ts'
import { type RunLocks } from './run-locks.ts'
import { type Logger } from '../../logger.ts'

/** The parts that an attempt gets from the executor. */
export interface AttemptParts {
  /** Creates the run's logger; called at its first use. */
  readonly runLog: (claim: Claim) => Logger
  /** Called once after the signal of the attempt has aborted: the attempt must end early. */
  readonly onAbort: (attempt: Attempt) => void
}

/**
 * A running claim, and the one signal that ends it early.
 *
 * Thousands run at the same time and most never use their signal or their log, so both are created at first use.
 */
export class Attempt {
  readonly claim: Claim
  readonly nodeId: string
  readonly job: JobDefinition
  readonly startedAt: number
  /** The handler continued after the grace time and was left alone. */
  isGivenUp = false
  /** The outcome is known; anything later has no effect. */
  isOver = false
  /**
   * `'sent'`: nothing can stop the commit any more, and only its answer tells how the run ended. `'done'`: the handler has ended the run
   * with `ctx.commit`, and nothing later changes that.
   */
  commit: 'none' | 'begun' | 'sent' | 'done' = 'none'
  committing: Promise<unknown> | undefined
  /** The locks that the handler has taken. */
  locks: RunLocks | undefined
  sinks: RunSinks | undefined
  /** Its place within a rate. */
  place: RatePlace | undefined
  /** Removes its timeout. */
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

  /** Why it must end early; undefined while it may continue. */
  get abortReason(): Error | undefined {
    return this.#reason
  }

  /** Keeps only the first reason. */
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
