// Long because it is one state machine: the states of a claim until its outcome is stored.
import { type PikoError, toError } from '../../errors.ts'
import { runCancelled, runTimedOut } from '../../run/attempt.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { Claim, Outcome } from '../../run/run.ts'
import type { Settings } from '../../settings/settings.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import type { RateStore } from '../../store/admission/rate-store.ts'
import type { RunStore } from '../../store/runs/run-store.ts'
import { LiveAttempt, type AttemptParts } from '../attempt/live-attempt.ts'
import type { Clock } from '../../clock.ts'
import { Completer } from './completer.ts'
import { Deadlines } from './deadlines.ts'
import { Drain, leaving } from './drain.ts'
import { Ending, type SettledRun } from './ending.ts'
import type { LoopHealth } from '../loop/loop-health.ts'
import { RateGate } from '../claiming/rate-gate.ts'
import { outcomeOf, type PipelineParts, type RootParts, RunPipeline } from '../attempt/run-pipeline.ts'
import { tracedRun } from '../attempt/traced-run.ts'
import { Slots } from './slots.ts'
import { stopPlan } from './stop-plan.ts'
import { abortTaken, type ClaimSource, type Taken } from './taken.ts'
import type { Logger } from '../../logger.ts'
import type { Blocked } from '../../store/admission/blocked.ts'

export interface ExecutorParts extends Omit<PipelineParts, 'abandoned' | 'rateGate'> {
  readonly registry: JobRegistry
  /** The maximum number of handlers that run at the same time. It may change later: see `resized`. */
  readonly concurrency: Settings['piko']['concurrency']
  readonly store: PipelineParts['store'] & {
    readonly runs: Pick<RunStore, 'finish'>
    readonly rates: Pick<RateStore, 'exchange'>
  }
  readonly clock: Clock
  readonly loops: LoopHealth
  readonly nodeId: () => string
  /**
   * Receives the milliseconds until the next deadline of a run, plus the grace time and a margin. If the event loop is still blocked then,
   * the node gives up its lease. Undefined: no run has a deadline. `timeoutInMs` is the time until the deadline itself.
   */
  readonly onDeadline: (ms: number | undefined, timeoutInMs: number | undefined) => void
  /** Whether this node is sure that it still holds its lease. */
  readonly holdsLease: () => boolean
  readonly runLog: (claim: Claim) => Logger
  readonly shutdownTimeoutMs: Settings['piko']['shutdownTimeoutMs']
  /** Returns a number in [0, 1), for the retry's jitter. */
  readonly random: () => number
  /** How long a handler may run after its signal has aborted, in milliseconds. After that, its run ends without it and its slot is free. */
  readonly graceMs: number
}

export interface RunUnderWay {
  readonly runId: number
  readonly jobId: string
}

/** An event loop that is only busy, and not blocked, begins its next turn within this time. */
const BLOCKED_MARGIN_MS = 500

/** Executes claims, from the job's definition to the stored outcome. A stop drains it. */
export class Executor extends Service {
  readonly #parts: ExecutorParts
  // The key is the fence and not the run: a run with a lost lease may return to this node before its earlier attempt has ended.
  readonly #taken = new Map<number, Taken>()
  readonly #deadlines: Deadlines
  readonly #slots: Slots
  readonly #completer: Completer
  readonly #ending: Ending
  readonly #rateGate: RateGate
  readonly #pipeline: RunPipeline
  readonly #attemptParts: AttemptParts
  /** Aborts when a stop has waited long enough for a database that does not answer. */
  readonly #abandoned = new AbortController()
  readonly #onSettled: ((run: SettledRun) => void)[] = []
  /** How many runs are waiting for their items. They have no slot. */
  #waiting = 0
  /** The drain of this executor; undefined before a stop begins and after the stop has ended. */
  #drain: Drain | undefined

  constructor(parts: ExecutorParts) {
    super({ name: 'executor' })
    const { store, clock, events, graceMs, holdsLease, random, runLog } = parts
    this.#parts = parts
    this.#slots = new Slots({
      get concurrency() {
        return parts.concurrency
      },
      clock,
      kept: () => this.#taken.size - this.#waiting,
      begin: (taken) => this.#begin(taken),
      giveBack: (taken) => this.#giveBack(taken),
    })
    this.#completer = new Completer({ ...parts, runs: store.runs, isMoreComing: () => this.#slots.isBeginning })
    this.#ending = new Ending({
      ...{ completer: this.#completer, events, clock, holdsLease, random },
      onSettled: (run) => this.#settled(run),
      onEnded: (taken) => this.#end(taken),
    })
    this.#rateGate = new RateGate({ ...parts, rates: store.rates })
    this.#pipeline = new RunPipeline({ ...parts, rateGate: this.#rateGate, abandoned: this.#abandoned.signal })
    this.#attemptParts = { runLog, onAbort: (attempt) => this.#waitNoLonger(attempt) }
    this.#deadlines = new Deadlines(clock, (ms) =>
      parts.onDeadline(ms === undefined ? undefined : ms + graceMs + BLOCKED_MARGIN_MS, ms),
    )
  }

  /** Calls `listener` after the outcome of each attempt is stored. */
  onSettled(listener: (run: SettledRun) => void): void {
    this.#onSettled.push(listener)
  }

  /**
   * Aborts every running attempt, and prevents waiting claims from beginning. `reason` aborts the handlers' signals and decides the
   * outcome.
   */
  abortAll(reason: PikoError): void {
    for (const taken of this.#taken.values()) abortTaken(taken, reason)
  }

  /** Aborts the attempts with these fences, because the cancellation of their runs was requested. */
  cancel(fences: readonly number[]): void {
    for (const fence of fences) {
      const taken = this.#taken.get(fence)
      if (taken) abortTaken(taken, runCancelled(taken.claim.runId))
    }
  }

  /** The ids of the claimed runs that have not ended and are not being ended. */
  get cancellable(): number[] {
    return [...this.#taken.values()].flatMap(({ claim, attempt, reason }) =>
      (reason ?? attempt?.abortReason ?? attempt?.isOver) ? [] : claim.runId,
    )
  }

  /** The runs that have begun but whose outcomes are not stored yet. */
  get underWay(): RunUnderWay[] {
    return [...this.#taken.values()].flatMap(({ claim: { runId, jobId }, attempt }) =>
      attempt ? { runId, jobId } : [],
    )
  }

  /** Starts waiting claims in slots that were added. Called when the number of slots has changed. */
  resized(): void {
    if (!this.#drain) this.#slots.fill()
  }

  /** Whether the process is stopping, so that nothing more is claimed. */
  get isLeaving(): boolean {
    return this.#drain !== undefined
  }

  /** How many more claims this node would take now. */
  get room(): number {
    return this.#slots.room
  }

  /** How many more claims could begin immediately. */
  get freeSlots(): number {
    return this.#slots.free
  }

  /** How many runs this node would claim before they are due. */
  get roomForEarly(): number {
    return this.#slots.roomForEarly
  }

  /** Whether claims begin in the next turns of the event loop. */
  get isBeginning(): boolean {
    return this.#slots.isBeginning
  }

  /** The rate limits with waiting runs on this node. These runs need the next places, so claims leave the limits out. */
  get waitingForRates(): readonly Blocked[] {
    return this.#rateGate.waiting
  }

  /** The number of slots in use. */
  get running(): number {
    return this.#slots.used
  }

  /** The number of claims whose outcomes are not stored yet. */
  get active(): number {
    return this.#taken.size
  }

  /** The fences of all claims whose outcomes are not stored yet, including those whose outcomes the database refuses. */
  get held(): ReadonlySet<number> {
    return new Set([...this.#taken.keys(), ...this.#completer.unstored])
  }

  /**
   * Executes a claim.
   *
   * @param nodeId the node id under which the run was claimed
   */
  take(claim: Claim, nodeId: string, source: ClaimSource): void {
    const taken = this.#keep(claim, nodeId, source)
    if (this.#drain?.isLeaving) this.#giveBack(taken)
    else this.#slots.take(taken)
  }

  /**
   * Executes early claims when they are due.
   *
   * @param ms milliseconds until the claims are due
   */
  takeEarly(claims: readonly Claim[], ms: number, nodeId: string, source: ClaimSource): void {
    const kept = claims.map((claim) => this.#keep(claim, nodeId, source))
    if (this.#drain?.isLeaving) for (const taken of kept) this.#giveBack(taken)
    else this.#slots.takeEarly(kept, ms)
  }

  #keep(claim: Claim, nodeId: string, source: ClaimSource): Taken {
    const takenAt = this.#parts.clock.now()
    const taken = { claim, nodeId, source, takenAt, attempt: undefined, reason: undefined }
    this.#taken.set(claim.fence, taken)
    return taken
  }

  /** Returns the run to the queue. Its attempt is not counted. */
  #giveBack(taken: Taken): void {
    const { claim, nodeId } = taken
    const transition = { to: 'queued', delayMs: 0, at: claim.runAt, counted: false } as const
    this.#completer.finish({ nodeId, claim, transition }, (stored) => {
      // If the claim is lost, another claim has the run, so it is not counted here.
      if (stored !== 'lost') this.#drain?.report.givenBack()
      this.#end(taken)
      taken.source.onGivenBack(claim)
    })
  }

  /** Frees the slot of a handler that has ended. The next claim gets the slot, unless the node is stopping. */
  #free(taken: Taken): void {
    this.#slots.release(!this.#drain)
    taken.source.onFree()
  }

  #begin(taken: Taken): void {
    const { claim, nodeId } = taken
    const { registry, clock, events, holdsLease } = this.#parts
    const { runId, jobId } = claim
    if (nodeId !== this.#parts.nodeId()) {
      // The node lost its lease between the claim and the start of the run.
      events.emit('run.lost', { runId, jobId, fence: claim.fence })
      this.#free(taken)
      this.#end(taken)
      return
    }
    const job = registry.find(jobId)
    // If the lease is uncertain, another node may also begin the run. So the run returns to the queue, if it still belongs to this node.
    if (!job || !holdsLease()) {
      this.#free(taken)
      this.#giveBack(taken)
      return
    }
    const startedAt = clock.now()
    const attempt = new LiveAttempt(claim, nodeId, job, startedAt, this.#attemptParts, taken.takenAt)
    taken.attempt = attempt
    if (taken.reason) {
      attempt.abort(taken.reason)
      this.#over(taken, attempt, outcomeOf(attempt, taken.reason))
      return
    }
    events.emit('run.started', {
      runId,
      jobId,
      attempt: claim.attempt,
      latenessMs: Math.max(0, startedAt - claim.runAt.getTime()),
    })
    const { timeoutMs } = job.policy
    if (timeoutMs !== undefined)
      attempt.cancelTimeout = this.#deadlines.add(timeoutMs, () => attempt.abort(runTimedOut(claim, timeoutMs)))
    const outcome = tracedRun(attempt, this.#pipeline)
    if (outcome instanceof Promise)
      void outcome.then(
        (late) => this.#over(taken, attempt, late),
        // This handles errors of code such as a user's logger. The slot must become free in any case.
        (thrown: unknown) => this.#over(taken, attempt, { kind: 'failure', error: toError(thrown) }),
      )
    else this.#over(taken, attempt, outcome)
  }

  /** Waits after an abort until the grace time is over. If the handler still has not ended, ends its run without it. */
  #waitNoLonger(attempt: LiveAttempt): void {
    if (attempt.isOver) return
    if (attempt.endWait) {
      attempt.endWait()
      const taken = this.#taken.get(attempt.claim.fence)
      if (taken) this.#over(taken, attempt, outcomeOf(attempt, toError(attempt.abortReason)))
      return
    }
    attempt.cancelGrace = this.#deadlines.add(this.#parts.graceMs, () => {
      const taken = this.#taken.get(attempt.claim.fence)
      if (taken && !attempt.isOver) this.#giveUp(taken, attempt)
    })
  }

  #giveUp(taken: Taken, attempt: LiveAttempt): void {
    attempt.isGivenUp = true
    this.#over(taken, attempt, outcomeOf(attempt, toError(attempt.abortReason)))
  }

  #over(taken: Taken, attempt: LiveAttempt, outcome: Outcome): void {
    if (attempt.isOver) return
    const { items } = this.#parts
    if (items && attempt.items?.hasItems && outcome.kind === 'success' && !attempt.endWait) {
      this.#awaitItems(taken, attempt, items, outcome)
      return
    }
    attempt.isOver = true
    attempt.cancelTimeout?.()
    attempt.cancelGrace?.()
    attempt.stopListening?.()
    if (attempt.endWait) this.#waiting -= 1
    else if (!taken.reason) this.#slots.took(Math.max(0, this.#parts.clock.now() - attempt.startedAt))
    this.#ending.settle(taken, attempt, outcome)
    if (!attempt.endWait) this.#free(taken)
  }

  /** Frees the slot of a run whose handler has ended. Ends the run when its items have ended. */
  #awaitItems(taken: Taken, attempt: LiveAttempt, items: RootParts, success: Outcome): void {
    const own = attempt.items
    if (!own) return
    attempt.endWait = items.wait(own.fence, () => {
      void items.outcome(attempt, own, success).then((outcome) => {
        attempt.idleItems = own.fence
        this.#over(taken, attempt, outcome)
      })
    })
    this.#waiting += 1
    this.#free(taken)
    // A drain does not wait for items. They and their run continue on other nodes.
    if (this.#drain) attempt.abort(leaving())
    else if (attempt.abortReason) this.#waitNoLonger(attempt)
  }

  #settled(run: SettledRun): void {
    if (run.outcome === 'interrupted' || run.outcome === 'waiting') this.#drain?.report.givenBack()
    else this.#drain?.report.ended()
    this.#onSettled.forEach((listener) => listener(run))
  }

  #end({ claim, source }: Taken): void {
    this.#taken.delete(claim.fence)
    source.onEnded(claim)
    if (this.#taken.size === 0) this.#drain?.idle()
  }

  /**
   * Starts the time limit that runs have during a stop of the whole app. It is called first, because services that stop earlier may be slow
   * or hang.
   */
  beginStop(): void {
    if (this.state !== 'init' && this.state !== 'stopped') this.#drain ??= this.#beginDrain()
  }

  #beginDrain(): Drain {
    const { clock, shutdownTimeoutMs, graceMs, events } = this.#parts
    for (const { attempt } of this.#taken.values()) if (attempt?.endWait) attempt.abort(leaving())
    return new Drain({
      clock,
      plan: stopPlan(shutdownTimeoutMs, graceMs),
      taken: this.#taken,
      handOver: () => this.#slots.handOver(),
      giveUp: (taken, attempt) => this.#giveUp(taken, attempt),
      abandon: () => {
        this.#completer.abandon()
        this.#abandoned.abort()
      },
      onDone: ({ isWorthTelling, drained }) => isWorthTelling && events.emit('node.drained', drained),
    })
  }

  /**
   * Waits for runs until the deadline. Then returns the remaining runs to the queue, and their attempts are not counted. After a crash of
   * this service, its runs continue unless the whole app stops, because a restart replaces nothing that they need.
   *
   * @throws PikoError `STOP_INCOMPLETE` if outcomes could not be stored
   */
  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash' && !this.#drain) return
    this.beginStop()
    this.#slots.handOver()
    this.#drain?.noMore()
    await this.#drain?.done
    const report = this.#drain?.report
    this.#completer.stop()
    this.#drain = undefined
    report?.assertNoneLeft()
  }
}
