import { PikoError, toError } from '../../errors.ts'
import { runCancelled } from '../../run/attempt.ts'
import { type JobRegistry } from '../../job/registry.ts'
import { type Claim, type Outcome } from '../../run/run.ts'
import { type StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import { type RateStore } from '../../store/admission/rate-store.ts'
import { type RunStore } from '../../store/runs/run-store.ts'
import { Attempt, type AttemptParts } from '../attempt/attempt.ts'
import { type Clock } from '../../clock.ts'
import { Completer } from './completer.ts'
import { Deadlines } from './deadlines.ts'
import { Drain } from './drain.ts'
import { Ending, type SettledRun } from './ending.ts'
import { RateGate } from '../claiming/rate-gate.ts'
import { outcomeOf, type PipelineParts, RunPipeline } from '../attempt/run-pipeline.ts'
import { Slots } from './slots.ts'
import { stopPlan } from './stop-plan.ts'
import { abortTaken, type ClaimSource, type Taken } from './taken.ts'
import { type Logger } from '../../logger.ts'
import { type Blocked } from '../../store/admission/blocked.ts'

export interface ExecutorParts extends Omit<PipelineParts, 'abandoned' | 'rateGate'> {
  readonly registry: JobRegistry
  /** Handlers under way at the same time. */
  readonly slots: number
  readonly runs: Pick<RunStore, 'finish'>
  readonly rates: Pick<RateStore, 'exchange'>
  readonly clock: Clock
  readonly nodeId: () => string
  /**
   * Receives the milliseconds until a run will be past its timeout and the grace time, if the event loop stays blocked until then;
   * undefined: no run will.
   */
  readonly onDeadline: (ms: number | undefined) => void
  /** Whether this node certainly holds its lease. */
  readonly holdsLease: () => boolean
  readonly runLog: (claim: Claim) => Logger
  readonly shutdownTimeoutMs: number
  /** Returns a number in [0, 1), for the retry's jitter. */
  readonly random: () => number
  /** A handler has this long to end after its signal aborted. Then the run is given up and its slot is free. */
  readonly graceMs: number
}

export interface RunUnderWay {
  readonly runId: number
  readonly jobId: string
}

/** A loop that is only busy turns within this time. */
const BLOCKED_MARGIN_MS = 500

/** Executes claims, each from its definition to the stored outcome. A stop drains it. */
export class Executor extends Service {
  readonly #parts: ExecutorParts
  // By fence, not by run: a run whose lease was lost may be back here while its earlier attempt has not ended yet.
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
  /** The drain that is running or over. */
  #drain: Drain | undefined

  constructor(parts: ExecutorParts) {
    super({ name: 'executor' })
    const { clock, events, graceMs, holdsLease, random, runLog, slots } = parts
    this.#parts = parts
    this.#slots = new Slots({
      slots,
      clock,
      kept: () => this.#taken.size,
      begin: (taken) => this.#begin(taken),
      giveBack: (taken) => this.#giveBack(taken),
    })
    this.#completer = new Completer(parts.runs, events, clock, () => this.#slots.isBeginning)
    this.#ending = new Ending({
      ...{ completer: this.#completer, events, clock, holdsLease, random },
      onSettled: (run) => this.#settled(run),
      onEnded: (taken) => this.#end(taken),
    })
    this.#rateGate = new RateGate(parts)
    this.#pipeline = new RunPipeline({ ...parts, rateGate: this.#rateGate, abandoned: this.#abandoned.signal })
    this.#attemptParts = { runLog, onAbort: (attempt) => this.#waitNoLonger(attempt) }
    this.#deadlines = new Deadlines(clock, (ms) =>
      parts.onDeadline(ms === undefined ? undefined : ms + graceMs + BLOCKED_MARGIN_MS),
    )
  }

  /** Calls `listener` after the end of each attempt is stored. */
  onSettled(listener: (run: SettledRun) => void): void {
    this.#onSettled.push(listener)
  }

  /** Ends every attempt under way early; handlers get `reason`, and it decides the outcome. Waiting claims do not begin. */
  abortAll(reason: PikoError): void {
    for (const taken of this.#taken.values()) abortTaken(taken, reason)
  }

  /** Ends the attempts with these fences, since their runs were cancelled. */
  cancel(fences: readonly number[]): void {
    for (const fence of fences) {
      const taken = this.#taken.get(fence)
      if (taken) abortTaken(taken, runCancelled(taken.claim.runId))
    }
  }

  /** The runs that are taken, have not ended, and have no reason to end. */
  get cancellable(): number[] {
    return [...this.#taken.values()].flatMap(({ claim, attempt, reason }) =>
      (reason ?? attempt?.abortReason ?? attempt?.isOver) ? [] : claim.runId,
    )
  }

  /** The runs that have begun and whose ends are not stored yet. */
  get underWay(): RunUnderWay[] {
    return [...this.#taken.values()].flatMap(({ claim: { runId, jobId }, attempt }) =>
      attempt ? { runId, jobId } : [],
    )
  }

  /** See `Slots`. */
  get room(): number {
    return this.#slots.room
  }

  /** See `Slots`. */
  get freeSlots(): number {
    return this.#slots.free
  }

  /** See `Slots`. */
  get roomForEarly(): number {
    return this.#slots.roomForEarly
  }

  /** See `Slots`. */
  get isBeginning(): boolean {
    return this.#slots.isBeginning
  }

  /** Rates whose next places are for runs that are taken already. */
  get waitingForRates(): readonly Blocked[] {
    return this.#rateGate.waiting
  }

  /** Handlers under way. */
  get running(): number {
    return this.#slots.used
  }

  /** Claims that were taken and whose ends are not stored yet. */
  get active(): number {
    return this.#taken.size
  }

  /** The fences of the claims under way, until their ends are stored. Includes claims whose ends the database refuses. */
  get held(): ReadonlySet<number> {
    return new Set([...this.#taken.keys(), ...this.#completer.unstored])
  }

  /**
   * Executes a claim.
   *
   * @param nodeId under which the run was claimed
   */
  take(claim: Claim, nodeId: string, source: ClaimSource): void {
    const taken = this.#keep(claim, nodeId, source)
    if (this.#drain?.isLeaving) this.#giveBack(taken)
    else this.#slots.take(taken)
  }

  /**
   * Executes claims that were taken before their time.
   *
   * @param ms until then
   */
  takeEarly(claims: readonly Claim[], ms: number, nodeId: string, source: ClaimSource): void {
    const kept = claims.map((claim) => this.#keep(claim, nodeId, source))
    if (this.#drain?.isLeaving) for (const taken of kept) this.#giveBack(taken)
    else this.#slots.takeEarly(kept, ms)
  }

  #keep(claim: Claim, nodeId: string, source: ClaimSource): Taken {
    const taken = { claim, nodeId, source, attempt: undefined, reason: undefined }
    this.#taken.set(claim.fence, taken)
    return taken
  }

  /** Returns the run to the queue, uncounted. */
  #giveBack(taken: Taken): void {
    const { claim, nodeId } = taken
    const transition = { to: 'queued', delayMs: 0, at: claim.runAt, counted: false } as const
    this.#completer.finish(nodeId, claim, transition, (stored) => {
      // The run of an overtaken claim belongs to another claim, so it is not counted here.
      if (stored !== 'lost') this.#drain?.report.givenBack()
      this.#end(taken)
      taken.source.onGivenBack(claim)
    })
  }

  /** A handler has ended: the next claim gets its slot, unless a stop has begun. */
  #free(taken: Taken): void {
    this.#slots.release(!this.#drain)
    taken.source.onFree()
  }

  #begin(taken: Taken): void {
    const { claim, nodeId } = taken
    const { registry, clock, events, holdsLease } = this.#parts
    const { runId, jobId } = claim
    if (nodeId !== this.#parts.nodeId()) {
      // The lease was lost while the claim was on its way or waited.
      events.emit('run.lost', { runId, jobId, fence: claim.fence })
      this.#free(taken)
      this.#end(taken)
      return
    }
    const job = registry.find(jobId)
    // Without a certain lease another node may begin the run as well. If the run is still this node's, it goes back to the queue.
    if (!job || !holdsLease()) {
      this.#free(taken)
      this.#giveBack(taken)
      return
    }
    const startedAt = clock.now()
    const attempt = new Attempt(claim, nodeId, job, startedAt, this.#attemptParts)
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
      attempt.cancelTimeout = this.#deadlines.add(timeoutMs, () => attempt.abort(timedOut(attempt, timeoutMs)))
    const outcome = this.#pipeline.run(attempt)
    if (outcome instanceof Promise)
      void outcome.then(
        (late) => this.#over(taken, attempt, late),
        // For example, a user's logger may throw. The slot must be freed in any case.
        (thrown: unknown) => this.#over(taken, attempt, { kind: 'failure', error: toError(thrown) }),
      )
    else this.#over(taken, attempt, outcome)
  }

  /** After an abort the handler has the grace time to end; then its run is over without it. */
  #waitNoLonger(attempt: Attempt): void {
    if (attempt.isOver) return
    attempt.cancelGrace = this.#deadlines.add(this.#parts.graceMs, () => {
      const taken = this.#taken.get(attempt.claim.fence)
      if (taken && !attempt.isOver) this.#giveUp(taken, attempt)
    })
  }

  #giveUp(taken: Taken, attempt: Attempt): void {
    attempt.isGivenUp = true
    this.#over(taken, attempt, outcomeOf(attempt, toError(attempt.abortReason)))
  }

  #over(taken: Taken, attempt: Attempt, outcome: Outcome): void {
    if (attempt.isOver) return
    attempt.isOver = true
    attempt.cancelTimeout?.()
    attempt.cancelGrace?.()
    if (!taken.reason) this.#slots.took(Math.max(0, this.#parts.clock.now() - attempt.startedAt))
    this.#ending.settle(taken, attempt, outcome)
    this.#free(taken)
  }

  #settled(run: SettledRun): void {
    if (run.outcome === 'interrupted') this.#drain?.report.givenBack()
    else this.#drain?.report.ended()
    for (const listener of this.#onSettled) listener(run)
  }

  #end({ claim, source }: Taken): void {
    this.#taken.delete(claim.fence)
    source.onEnded(claim)
    if (this.#taken.size === 0) this.#drain?.idle()
  }

  /**
   * The stop of the whole app has begun, and with it the time that its runs have. Services that stop before this one may take
   * their own time, or hang.
   */
  beginStop(): void {
    if (this.state !== 'init' && this.state !== 'stopped') this.#drain ??= this.#beginDrain()
  }

  #beginDrain(): Drain {
    const { clock, shutdownTimeoutMs, graceMs, events } = this.#parts
    const drain = new Drain({
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
    return drain
  }

  /**
   * Lets runs end until the deadline, then gives the rest back to the queue, uncounted. After a crash the runs continue, unless the
   * whole app stops: they need nothing that a restart would make anew.
   *
   * @throws PikoError `STOP_INCOMPLETE` when ends could not be stored
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

function timedOut({ claim, job }: Attempt, timeoutMs: number): PikoError {
  return new PikoError(
    'RUN_TIMEOUT',
    `run ${claim.runId} of job "${job.id}" took longer than its timeout of ${timeoutMs} ms`,
  )
}
