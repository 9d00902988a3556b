import { PikoError, toError } from '../../errors.ts'
import { answerOf, isBoolean, type OptionFunction } from '../../option-function.ts'
import { cancelledError, runCancelled } from '../../run/attempt.ts'
import { type JobRegistry } from '../../job/registry.ts'
import { forbidsRetry, retryTimingOf } from '../../run/retry-errors.ts'
import { type Claim, type Outcome, runError, settle, type Transition } from '../../run/run.ts'
import { Service } from '../../service/service.ts'
import { type RateStore } from '../../store/admission/rate-store.ts'
import { type RunStore } from '../../store/runs/run-store.ts'
import { Attempt, type AttemptParts } from '../attempt/attempt.ts'
import { type Clock } from '../clock.ts'
import { Completer, type Stored } from './completer.ts'
import { Deadlines } from './deadlines.ts'
import { DrainReport } from './drain-report.ts'
import { EarlyClaims } from '../claiming/early-claims.ts'
import { Pace } from '../planning/pace.ts'
import { RateGate } from '../claiming/rate-gate.ts'
import { outcomeOf, type PipelineParts, RunPipeline } from '../attempt/run-pipeline.ts'
import { type StopPlan, stopPlan } from './stop-plan.ts'
import { WaitingLine } from '../claiming/waiting-line.ts'
import { type Logger } from '../../logger.ts'
import { type Blocked } from '../../store/admission/blocked.ts'

export interface ExecutorParts extends Omit<PipelineParts, 'abandoned' | 'rateGate'> {
  readonly registry: JobRegistry
  /** Handlers under way at once. */
  readonly slots: number
  readonly runs: Pick<RunStore, 'finish'>
  readonly rates: Pick<RateStore, 'exchange'>
  readonly clock: Clock
  readonly nodeId: () => string
  /**
   * Told in how many milliseconds a run will be past its timeout and the grace time, should the event loop be blocked until then;
   * undefined: none will.
   */
  readonly onDeadline: (ms: number | undefined) => void
  /** Whether this node's lease is its own for sure. */
  readonly holdsLease: () => boolean
  readonly runLog: (claim: Claim) => Logger
  readonly shutdownTimeoutMs: number
  /** In [0, 1), for the retry's jitter. */
  readonly random: () => number
  /** After its signal aborted, a handler has this long to come to an end; then the run is given up and its slot is free. */
  readonly graceMs: number
}

export interface RunUnderWay {
  readonly runId: number
  readonly jobId: string
}

/** Who hands claims over. */
export interface ClaimSource {
  /** A handler has come to its end: there may be room for more. Its run's end is not stored yet. */
  onFree(): void
  /** The end of the attempt is stored or refused. */
  onEnded(claim: Claim): void
  /** The claim has gone back to the queue without an attempt. */
  onGivenBack(claim: Claim): void
}

/** A claim that waits for its turn, is under way, or whose end is being stored. */
interface Taken {
  readonly claim: Claim
  readonly nodeId: string
  readonly source: ClaimSource
  attempt: Attempt | undefined
  /** It is not to begin. */
  reason: PikoError | undefined
}

/** A loop that is merely busy comes round within this. */
const BLOCKED_MARGIN_MS = 500

/** Claims that are taken before their time at most. */
const MOST_EARLY = 10_000

/** Executes claims, each from its definition to the stored outcome. A stop drains it. */
export class Executor extends Service {
  readonly #parts: ExecutorParts
  // By fence, not by run: a run whose lease was lost may be back here while its earlier attempt still comes to its end.
  readonly #taken = new Map<number, Taken>()
  readonly #deadlines: Deadlines
  readonly #pace = new Pace<Taken>((taken) => this.#begin(taken))
  readonly #completer: Completer
  readonly #rateGate: RateGate
  readonly #pipeline: RunPipeline
  readonly #attemptParts: AttemptParts
  /** Aborts when a stop has waited long enough for a database that does not answer. */
  readonly #abandoned = new AbortController()
  readonly #waiting: WaitingLine<Taken>
  readonly #early: EarlyClaims<Taken>
  #running = 0
  #onIdle: (() => void)[] = []
  /** The drain under way, or over. */
  #draining: Promise<DrainReport> | undefined
  #report: DrainReport | undefined
  /** No run begins any more. */
  #isLeaving = false
  /** Nothing more is claimed. */
  #noMore = Promise.withResolvers<void>()

  constructor(parts: ExecutorParts) {
    super({ name: 'executor' })
    this.#parts = parts
    this.#completer = new Completer(parts.runs, parts.events, parts.clock, () => this.#pace.isBusy)
    this.#rateGate = new RateGate(parts)
    this.#pipeline = new RunPipeline({ ...parts, rateGate: this.#rateGate, abandoned: this.#abandoned.signal })
    this.#attemptParts = { runLog: parts.runLog, onAbort: (attempt) => this.#waitNoLonger(attempt) }
    this.#waiting = new WaitingLine(parts.clock, (taken) => this.#giveBack(taken))
    this.#early = new EarlyClaims(parts.clock, (taken) => this.#startOrWait(taken))
    this.#deadlines = new Deadlines(parts.clock, (ms) =>
      parts.onDeadline(ms === undefined ? undefined : ms + parts.graceMs + BLOCKED_MARGIN_MS),
    )
  }

  /** Ends every attempt under way early; `reason` tells handlers and decides the outcome. Those that wait do not begin. */
  abortAll(reason: PikoError): void {
    for (const taken of this.#taken.values()) abort(taken, reason)
  }

  /** Ends those attempts that have these fences: somebody cancelled their runs. */
  cancel(fences: readonly number[]): void {
    for (const fence of fences) {
      const taken = this.#taken.get(fence)
      if (taken) abort(taken, runCancelled(taken.claim.runId))
    }
  }

  /** The runs that are taken and have neither ended nor a reason to. */
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

  /** How many claims it would take now. What is not stored yet is bounded too: the database may be slow. */
  get room(): number {
    const { slots } = this.#parts
    // As many again may wait as there are slots.
    const wanted = slots * (this.#waiting.isWorthWhile ? 2 : 1) - this.#running - this.#waiting.size
    return Math.min(wanted, 3 * slots - (this.#taken.size - this.#early.size))
  }

  /** How many of them would begin at once. */
  get freeSlots(): number {
    return Math.min(this.room, this.#parts.slots - this.#running - this.#waiting.size)
  }

  /** How many claims it would take before their time. They keep no slot from others until then. */
  get roomForEarly(): number {
    const most = Math.min(this.#waiting.soonOver(this.#parts.slots), MOST_EARLY)
    return most - this.#running - this.#waiting.size - this.#early.size
  }

  /** Some of what it took begins in the next turns of the event loop. */
  get isBeginning(): boolean {
    return this.#pace.isBusy
  }

  /** Rates whose next places are for runs that are taken already. */
  get waitingForRates(): readonly Blocked[] {
    return this.#rateGate.waiting
  }

  /** Handlers under way. */
  get running(): number {
    return this.#running
  }

  /** Claims that were taken and whose ends are not stored yet. */
  get active(): number {
    return this.#taken.size
  }

  /** The fences of the claims under way, until their ends are stored; those whose ends the database refuses included. */
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
    if (this.#isLeaving) this.#giveBack(taken)
    else this.#startOrWait(taken)
  }

  /**
   * Executes claims that were taken before their time.
   *
   * @param ms until then
   */
  takeEarly(claims: readonly Claim[], ms: number, nodeId: string, source: ClaimSource): void {
    const kept = claims.map((claim) => this.#keep(claim, nodeId, source))
    if (this.#isLeaving) for (const taken of kept) this.#giveBack(taken)
    else this.#early.add(kept, ms)
  }

  #keep(claim: Claim, nodeId: string, source: ClaimSource): Taken {
    const taken = { claim, nodeId, source, attempt: undefined, reason: undefined }
    this.#taken.set(claim.fence, taken)
    return taken
  }

  #startOrWait(taken: Taken): void {
    if (this.#running < this.#parts.slots) this.#start(taken)
    else this.#waiting.push(taken)
  }

  #start(taken: Taken): void {
    this.#running += 1
    this.#pace.add(taken)
  }

  /** To the queue, uncounted. */
  #giveBack(taken: Taken): void {
    const { claim, nodeId } = taken
    const transition = { to: 'queued', delayMs: 0, at: claim.runAt, counted: false } as const
    this.#completer.finish(nodeId, claim, transition, (stored) => {
      // A claim that was overtaken leaves nothing behind: the run is another claim's.
      if (stored !== 'lost') this.#report?.givenBack()
      this.#end(taken)
      taken.source.onGivenBack(claim)
    })
  }

  /** A handler has ended: the next claim has its slot. */
  #free(taken: Taken): void {
    this.#running -= 1
    // What waits when the stop begins does not begin any more.
    const next = this.#draining ? undefined : this.#waiting.shift()
    if (next) this.#start(next)
    taken.source.onFree()
  }

  /**
   * The stop of the whole app has begun, and with it the time that its runs have. Services that stop before this one may take
   * their own time, or hang.
   */
  beginStop(): void {
    if (this.state !== 'init' && this.state !== 'stopped') this.#draining ??= this.#drain()
  }

  /**
   * Lets runs end until the deadline, then gives the rest back to the queue, uncounted. After a crash the runs go on, unless the
   * whole app stops: they need nothing that a restart would make anew.
   *
   * @throws PikoError `STOP_INCOMPLETE` when ends could not be stored
   */
  protected override async onStop(): Promise<void> {
    if (this.crashReason && !this.#draining) return
    this.beginStop()
    this.#handOver()
    this.#noMore.resolve()
    const report = await this.#draining
    this.#completer.stop()
    this.#draining = undefined
    this.#isLeaving = false
    this.#noMore = Promise.withResolvers()
    report?.assertNoneLeft()
  }

  async #drain(): Promise<DrainReport> {
    const { shutdownTimeoutMs, graceMs, events } = this.#parts
    const plan = stopPlan(shutdownTimeoutMs, graceMs)
    const report = new DrainReport()
    this.#report = report
    const over = this.#noMore.promise.then(() => this.#idle())
    if (!(await this.#atMost(plan.abortAtMs, over))) await this.#giveBackRest(plan, report, over)
    this.#report = undefined
    if (report.isWorthTelling) events.emit('node.drained', report.drained)
    return report
  }

  async #giveBackRest(plan: StopPlan, report: DrainReport, over: Promise<void>): Promise<void> {
    this.#isLeaving = true
    this.#handOver()
    this.abortAll(new PikoError('STOPPED', 'this node stops; the run goes back to the queue and is not counted'))
    if (await this.#atMost(plan.giveUpAtMs - plan.abortAtMs, over)) return
    this.#giveUpAll(report)
    if (await this.#atMost(plan.abandonAtMs - plan.giveUpAtMs, over)) return
    for (const { claim } of this.#taken.values()) report.leftBehind(claim)
    this.#completer.abandon()
    this.#abandoned.abort()
  }

  /** To the queue goes what has not begun. */
  #handOver(): void {
    this.#waiting.giveBackAll()
    for (const taken of this.#early.takeAll()) this.#giveBack(taken)
  }

  /** Their runs are over without their handlers, as after a timeout. */
  #giveUpAll(report: DrainReport): void {
    for (const taken of this.#taken.values()) {
      const { attempt, claim } = taken
      if (!attempt || attempt.isOver) continue
      attempt.isGivenUp = true
      report.stillRuns(claim)
      this.#over(taken, attempt, outcomeOf(attempt, toError(attempt.abortReason)))
    }
  }

  async #idle(): Promise<void> {
    if (this.active > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve))
  }

  /** Waits `ms` at most, and leaves no timer behind when `work` ends first. @returns whether it has ended */
  async #atMost(ms: number, work: Promise<void>): Promise<boolean> {
    const done = new AbortController()
    await Promise.race([work.then(() => done.abort()), this.#parts.clock.sleep(ms, done.signal)])
    return done.signal.aborted
  }

  #begin(taken: Taken): void {
    const { claim, nodeId } = taken
    const { registry, clock, events, holdsLease } = this.#parts
    const { runId, jobId } = claim
    if (nodeId !== this.#parts.nodeId()) {
      // The lease was lost while the claim was under way or waited: the run is no longer this node's.
      events.emit('run.lost', { runId, jobId, fence: claim.fence })
      this.#free(taken)
      this.#end(taken)
      return
    }
    const job = registry.find(jobId)
    // While the lease is not this node's for sure, another one may begin the run as well; if it is still its own, the run is put back.
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
        // Such as a logger of the user's that throws: whatever it is, the slot must be free again.
        (thrown: unknown) => this.#over(taken, attempt, { kind: 'failure', error: toError(thrown) }),
      )
    else this.#over(taken, attempt, outcome)
  }

  /** After an abort the handler has the grace time to come to its end; then its run is over without it. */
  #waitNoLonger(attempt: Attempt): void {
    if (attempt.isOver) return
    attempt.cancelGrace = this.#deadlines.add(this.#parts.graceMs, () => {
      const taken = this.#taken.get(attempt.claim.fence)
      if (attempt.isOver || !taken) return
      attempt.isGivenUp = true
      this.#over(taken, attempt, outcomeOf(attempt, toError(attempt.abortReason)))
    })
  }

  #over(taken: Taken, attempt: Attempt, outcome: Outcome): void {
    if (attempt.isOver) return
    attempt.isOver = true
    attempt.cancelTimeout?.()
    attempt.cancelGrace?.()
    if (!taken.reason) this.#waiting.took(Math.max(0, this.#parts.clock.now() - attempt.startedAt))
    if (attempt.commit !== 'sent') this.#settle(taken, attempt, outcome)
    else
      void Promise.resolve(attempt.committing)
        .catch(() => {})
        .then(() => this.#settle(taken, attempt, outcome))
    this.#free(taken)
  }

  #settle(taken: Taken, attempt: Attempt, outcome: Outcome): void {
    const { claim, nodeId } = taken
    const { holdsLease } = this.#parts
    if (attempt.commit === 'done') {
      this.#tell(taken, attempt, { kind: 'success' }, { to: 'succeeded' })
      return
    }
    const transition = this.#decide(attempt, outcome)
    // A node that has lost its lease writes nothing more; the fence would refuse it anyway.
    if (hasLostLease(attempt) || !holdsLease()) this.#lost(taken)
    else
      this.#completer.finish(nodeId, claim, transition, (stored) =>
        this.#stored(taken, attempt, outcome, transition, stored),
      )
  }

  #stored(taken: Taken, attempt: Attempt, outcome: Outcome, transition: Transition, stored: Stored): void {
    if (typeof stored === 'object') {
      const error = stored.unstorable
      return this.#tell(taken, attempt, { kind: 'failure', error }, { to: 'failed', error: runError(error) })
    }
    switch (stored) {
      case 'lost':
        return this.#lost(taken)
      case 'cancelled': {
        const error = runCancelled(taken.claim.runId)
        return this.#tell(taken, attempt, { kind: 'cancelled', error }, { to: 'cancelled', error: cancelledError() })
      }
      case 'stored':
        return this.#tell(taken, attempt, outcome, transition)
    }
  }

  #lost(taken: Taken): void {
    const { runId, jobId, fence } = taken.claim
    this.#parts.events.emit('run.lost', { runId, jobId, fence })
    this.#end(taken)
  }

  #tell(taken: Taken, attempt: Attempt, outcome: Outcome, transition: Transition): void {
    const { events, clock } = this.#parts
    const { runId, jobId } = taken.claim
    const now = clock.now()
    if (outcome.kind === 'interrupted') this.#report?.givenBack()
    else this.#report?.ended()
    events.emit('run.settled', {
      runId,
      jobId,
      attempt: taken.claim.attempt,
      outcome: outcome.kind,
      state: transition.to,
      durationMs: now - attempt.startedAt,
      error: 'error' in outcome ? outcome.error : undefined,
      retryInMs: retryInMs(transition, now),
      isGivenUp: attempt.isGivenUp,
    })
    this.#end(taken)
  }

  #end({ claim, source }: Taken): void {
    this.#taken.delete(claim.fence)
    source.onEnded(claim)
    if (this.#taken.size > 0) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  /** Decides on what a handler left behind; should that fail, the run fails rather than stay `running`. */
  #decide(attempt: Attempt, outcome: Outcome): Transition {
    try {
      const advised = outcome.kind === 'success' ? outcome : this.#withAdvice(attempt, outcome)
      return settle(attempt.claim, advised, attempt.job.policy.retry, this.#parts.random())
    } catch (thrown) {
      return { to: 'failed', error: runError(toError(thrown)) }
    }
  }

  /** What the handler's error and the job's `retryIf` say about another attempt. */
  #withAdvice(attempt: Attempt, outcome: Outcome): Outcome {
    if (outcome.kind !== 'failure' && outcome.kind !== 'timeout') return outcome
    const { error } = outcome
    const { retryIf } = attempt.job.policy.retry
    let isPermanent = outcome.isPermanent === true || forbidsRetry(error)
    let adviceError: Error | undefined
    try {
      if (!isPermanent && retryIf) isPermanent = !adviceOf(attempt, retryIf, error)
    } catch (thrown) {
      adviceError = toError(thrown)
      isPermanent = true
    }
    return { ...outcome, isPermanent, retry: retryTimingOf(error), ...(adviceError && { adviceError }) }
  }
}

function adviceOf({ job }: Attempt, retryIf: (error: Error) => unknown, error: Error): boolean {
  const asked: OptionFunction<boolean> = {
    ...{ jobId: job.id, option: 'retry.retryIf', isAnswer: isBoolean, expected: 'true or false' },
    next: 'the run is not tried again',
  }
  return answerOf(asked, () => retryIf(error))
}

function abort(taken: Taken, reason: PikoError): void {
  const { attempt } = taken
  if (!attempt) taken.reason ??= reason
  else if (!attempt.isOver) attempt.abort(reason)
}

function timedOut({ claim, job }: Attempt, timeoutMs: number): PikoError {
  return new PikoError(
    'RUN_TIMEOUT',
    `run ${claim.runId} of job "${job.id}" took longer than its timeout of ${timeoutMs} ms`,
  )
}

function hasLostLease({ abortReason }: Attempt): boolean {
  return abortReason instanceof PikoError && abortReason.code === 'LEASE_LOST'
}

/** Milliseconds until the next attempt of a run that is tried again. */
function retryInMs(transition: Transition, now: number): number | undefined {
  if (transition.to !== 'queued' || !transition.counted) return undefined
  return transition.at ? Math.max(0, transition.at.getTime() - now) : transition.delayMs
}
