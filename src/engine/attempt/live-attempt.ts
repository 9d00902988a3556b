import { toError } from '../../errors.ts'
import { marksText, UNMARKED_WAIT_MS } from '../../run/phases.ts'
import { FENCE_FACTOR } from '../../store/runs/fence.ts'
import type { Claim, RatePlace } from '../../run/run.ts'
import type { ItemAdder, ItemData } from '../../job/items/adding.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { TableRows } from '../../run/table-rows.ts'
import type { WrittenRows } from '../../sink/written-rows.ts'
import type { RunSinks } from '../../sink/sink-pool.ts'
import type { RunLocks } from './run-locks.ts'
import type { ReportedProgress } from './reported-progress.ts'
import type { RunSteps } from './steps/run-steps.ts'
import type { Clock } from '../../clock.ts'
import type { Logger } from '../../logger.ts'

const NO_TABLES: readonly TableRows[] = []

/** The items of an attempt, as the engine uses them. */
export interface AttemptItems extends ItemAdder<ItemData> {
  /** The generation of the items: the fence of the claim that added the first of them. */
  readonly fence: number
  /** Whether the run has items. If so, it ends only when they have ended. */
  readonly hasItems: boolean
  /** The handler's result, if an earlier attempt has added all items. Undefined: the handler must be called. */
  readonly seeded: { readonly output: string | null } | undefined
  /** Records that the handler has added all items. */
  end(output: unknown): Promise<void>
}

/** What the executor passes to each attempt. */
export interface AttemptParts {
  /** Creates the run's logger. Called at its first use. */
  readonly runLog: (claim: Claim) => Logger
  /** Called once, after the attempt's signal has aborted. */
  readonly onAbort: (attempt: LiveAttempt) => void
}

/**
 * A running claim, with one signal that ends it early.
 *
 * The signal and the log are created on first use, because thousands of attempts run at the same time and most need neither.
 */
export class LiveAttempt {
  readonly claim: Claim
  readonly nodeId: string
  readonly job: JobDefinition
  readonly startedAt: number
  /** How long the claim waited on its node. A small integer needs no memory of its own, unlike the time of the claim. */
  readonly #waitedMs: number
  /** Whether the handler has returned or thrown. Then no further step may begin. */
  isHandled = false
  /** Whether the outcome is known. Then nothing can change it any more. */
  isOver = false
  /**
   * The state of `ctx.commit`. `'sent'`: nothing can stop the commit any more, and only the database's answer shows how the run ended.
   * `'done'`: the commit has ended the run, and nothing can change that.
   */
  commit: 'none' | 'begun' | 'sent' | 'done' = 'none'
  /** The value of `ctx.input`. */
  input: unknown
  /** Cancels the attempt's timeout. */
  cancelTimeout: (() => void) | undefined
  readonly #parts: AttemptParts
  #controller: AbortController | undefined
  #reason: Error | undefined
  #log: Logger | undefined

  // What only few attempts need. The values before the first assignment are in `UNUSED`, on the prototype: as fields they would double the
  // size of each attempt, and the garbage collector's work.
  /** When the parts of the attempt ended, for a job with resources or sinks, and for `ctx.commit`. */
  declare marks: { ready?: number; handled?: number; flushed?: number } | undefined
  /** Whether the run has ended without its handler, which was still running after the grace time. */
  declare isGivenUp: boolean
  declare committing: Promise<unknown> | undefined
  /** The locks that the handler has taken. */
  declare locks: RunLocks | undefined
  /** The steps of the attempt, if the handler uses any. */
  declare steps: RunSteps | undefined
  /** The items that the handler adds, for a job with items. */
  declare items: AttemptItems | undefined
  /** Ends the wait for the run's items. Set only during this wait, in which the run has no slot. */
  declare endWait: (() => void) | undefined
  /** The generation of the run's items. Set when all of them have ended; then the run ends too. */
  declare idleItems: number | undefined
  /** The version of the job's config that the handler uses; undefined if none was saved. */
  declare configVersion: number | undefined
  /** Stops the notifications of the handler's `ctx.onConfigChange`. */
  declare stopListening: (() => void) | undefined
  /** The handler's last report with `ctx.progress`, if any. */
  declare progress: ReportedProgress | undefined
  /** After how many milliseconds the run is due again. Set if a step is not ready. */
  declare waitMs: number | undefined
  /** The item whose function runs. Undefined in the handler of a run. */
  declare itemId: number | undefined
  /** Whether this attempt runs the function `dead` of an item's kind instead of the item's own function. */
  declare isDead: boolean
  declare sinks: RunSinks | undefined
  /** The rows that the attempt's sinks have written to fenced tables for its window. */
  declare written: WrittenRows | undefined
  /** The rows that `written` had counted when the sinks were flushed. */
  declare tables: readonly TableRows[]
  /** When the attempt may begin according to the job's rate limit. */
  declare place: RatePlace | undefined
  declare cancelGrace: (() => void) | undefined

  constructor(
    claim: Claim,
    nodeId: string,
    job: JobDefinition,
    startedAt: number,
    parts: AttemptParts,
    takenAt = startedAt,
  ) {
    this.claim = claim
    this.input = claim.input
    if (claim.place) this.place = claim.place
    this.nodeId = nodeId
    this.job = job
    this.startedAt = startedAt
    this.#waitedMs = startedAt - takenAt
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

  /** Records that a part of the attempt has ended. */
  mark(part: 'ready' | 'handled' | 'flushed', at: number): void {
    ;(this.marks ??= {})[part] = at
  }

  /**
   * Returns when the parts of the attempt ended, to be stored with its outcome. Undefined if the run succeeded without output, resources,
   * sinks and `ctx.commit`, and began soon after its claim. One statement stores many such runs, so they have no phases.
   */
  phasesText(
    transition: { readonly to: string; readonly output?: unknown },
    clock: Pick<Clock, 'now'>,
  ): string | undefined {
    const { marks, claim, startedAt, job } = this
    const isPlain = !marks && transition.to === 'succeeded' && transition.output === undefined
    // Nearly all runs return here.
    if (isPlain && this.#waitedMs < UNMARKED_WAIT_MS) return undefined
    // If the run was claimed before it was due, its times are measured from when it was due, as for `started_at`.
    const claimedAt = Math.min(Math.max(startedAt - this.#waitedMs, claim.runAt.getTime()), startedAt)
    if (isPlain && startedAt - claimedAt < UNMARKED_WAIT_MS) return undefined
    const now = clock.now()
    const hasParts = job.spec.resources !== undefined || job.spec.sinks !== undefined
    const after = (at: number | undefined): number | undefined => (at === undefined ? undefined : at - claimedAt)
    return marksText(claim.fence - claim.runId * FENCE_FACTOR, {
      begun: startedAt - claimedAt,
      ready: after(marks?.ready ?? (hasParts && !marks ? now : undefined)),
      handled: after(marks?.handled ?? (hasParts || marks ? undefined : now)),
      flushed: after(marks?.flushed),
    })
  }

  /** Why the attempt must end early; undefined while it may continue. */
  get abortReason(): Error | undefined {
    return this.#reason
  }

  /** Ends the attempt early. Only the first reason is kept. */
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

const UNUSED = {
  ...{ marks: undefined, committing: undefined, locks: undefined, steps: undefined, place: undefined },
  ...{ items: undefined, endWait: undefined, idleItems: undefined, itemId: undefined, isDead: false },
  ...{ configVersion: undefined, stopListening: undefined, progress: undefined, waitMs: undefined },
  ...{ sinks: undefined, written: undefined, tables: NO_TABLES, cancelGrace: undefined, isGivenUp: false },
} satisfies Partial<LiveAttempt>

Object.assign(LiveAttempt.prototype, UNUSED)
