import { isPikoError } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import { messageOf } from '../errors-read.ts'
import type { Loan } from './loan.ts'

/** A retry gets new values if it begins more than this many milliseconds after the failed attempt. */
const MAX_KEEP_MS = 600_000
/** How long values are kept for a retry that is due, or until it is known whether there is a retry. */
const GRACE_MS = 10_000

/** The values that a failed attempt has left for its retry. */
export interface Left {
  /** The borrowed values, by their index in the plan. */
  readonly loans: ReadonlyMap<number, Loan>
  /** How the attempt failed. */
  readonly error: Error
  readonly log: Logger
}

interface Kept extends Left {
  readonly claimed: AbortController
}

/** The values of the scope `run` between a failed attempt and its retry. */
export class KeptLoans {
  readonly #clock: Clock
  readonly #kept = new Map<number, Kept>()
  readonly #ending = new Set<Promise<void>>()
  #isClosed = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Whether a run that failed with this error may be retried on this node. */
  static mayKeep(error: Error): boolean {
    return !['STOPPED', 'LEASE_LOST', 'RUN_CANCELLED', 'STEP_WAITING'].some(
      (code) => isPikoError(error) && error.code === code,
    )
  }

  /** Keeps values for a possible retry. Whether there will be one is decided later; see {@link settled}. */
  keep(runId: number, left: Left): void {
    this.#giveUp(runId)
    const kept = { ...left, claimed: new AbortController() }
    this.#kept.set(runId, kept)
    if (this.#isClosed) this.#giveUp(runId)
    else this.#expire(runId, kept, GRACE_MS)
  }

  /** Returns the values for the retry. The caller must give them back later. */
  claim(runId: number): Left | undefined {
    const kept = this.#kept.get(runId)
    if (!kept) return undefined
    this.#kept.delete(runId)
    kept.claimed.abort()
    return kept
  }

  /** Gives back values that no retry will use. Never rejects. */
  async giveBack({ loans, error, log }: Left): Promise<void> {
    for (const [, loan] of [...loans].reverse()) {
      try {
        await loan.giveBack({ ok: false, error })
      } catch (failure) {
        log.error({ err: failure, resource: loan.lender.name }, messageOf(failure))
      }
    }
  }

  /**
   * Called when the outcome of the attempt is stored.
   *
   * @param retryInMs undefined: the run has ended, or may continue on another node
   */
  settled(runId: number, retryInMs: number | undefined): void {
    const kept = this.#kept.get(runId)
    if (!kept) return
    if (retryInMs === undefined || retryInMs > MAX_KEEP_MS) return this.#giveUp(runId)
    kept.claimed.abort()
    const waiting = { ...kept, claimed: new AbortController() }
    this.#kept.set(runId, waiting)
    this.#expire(runId, waiting, retryInMs + GRACE_MS)
  }

  /** Gives back all values, with the errors of their attempts. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const runId of [...this.#kept.keys()]) this.#giveUp(runId)
    await Promise.all(this.#ending)
  }

  #expire(runId: number, kept: Kept, ms: number): void {
    const { signal } = kept.claimed
    void this.#clock.sleep(ms, signal).then(() => {
      if (!signal.aborted) this.#giveUp(runId)
    })
  }

  #giveUp(runId: number): void {
    const kept = this.claim(runId)
    if (!kept) return
    const ending = this.giveBack(kept).finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }
}
