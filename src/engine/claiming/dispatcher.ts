import { headline } from '../../errors-read.ts'
import { describe, PikoError, toError } from '../../errors.ts'
import { type AdmissionLimits } from '../../run/limits.ts'
import { type JobRegistry } from '../../job/registry.ts'
import { type Claim } from '../../run/run.ts'
import { REFUSED_RATE_MS, type RefusedRate } from '../../store/admission/rate-windows.ts'
import { firstClaimOf } from '../../store/runs/run-row.ts'
import { MAX_RUNS, type RunStore } from '../../store/runs/run-store.ts'
import { type Events } from '../../events.ts'
import { type Clock } from '../../clock.ts'
import { type Executor } from '../execution/executor.ts'
import { type ClaimSource } from '../execution/taken.ts'
import { LeftOut } from './left-out.ts'
import { reportFailure } from '../loop/loop-failure.ts'
import { LoopService } from '../loop/loop-service.ts'
import { type NewRun } from '../../store/runs/new-run.ts'
import { type StopReason } from '../../service/lifecycle-parts.ts'

const FIRST_IDLE_MS = 20
/** Times of planned runs that are remembered. */
const MAX_HINTS = 1_000
/** What is known to be due at a time is claimed so long before, as far as nothing is due already. */
const EARLY_MS = 250

type DispatcherExecutor = Pick<
  Executor,
  'room' | 'freeSlots' | 'roomForEarly' | 'isBeginning' | 'waitingForRates' | 'take' | 'takeEarly'
>

export interface DispatcherOptions {
  readonly pollMs: number
  /** Claim only the registry's jobs instead of learning which ones are not in it: for a node made for one job. */
  readonly onlyRegistered: boolean
}

/**
 * Claims due runs for the free slots of this node and hands them over. It looks again at once after a full claim or when a
 * slot gets free, a little before a planned run becomes due, and else with a pause that doubles up to the poll interval.
 */
export class Dispatcher extends LoopService {
  readonly #runs: RunStore
  readonly #registry: JobRegistry
  readonly #options: DispatcherOptions
  readonly #nodeId: () => string
  readonly #holdsLease: () => boolean
  readonly #executor: DispatcherExecutor
  readonly #clock: Clock
  readonly #events: Events
  readonly #limits: ReadonlyMap<string, AdmissionLimits>
  readonly #limited: readonly { readonly jobId: string }[]
  readonly #leftOut = new LeftOut()
  /** Times at which runs will be due, and whether they were claimed before, as far as that was possible. */
  readonly #hints = new Map<number, 'ahead' | 'claimed'>()
  readonly #source: ClaimSource = {
    // Where nothing waits, a free slot is no reason to look.
    onFree: () => {
      if (!this.#isQueueEmpty) super.wake()
    },
    onEnded: (claim) => {
      if (this.#leftOut.release(claim) || !this.#isQueueEmpty) super.wake()
    },
    onGivenBack: ({ runAt }) => this.expect([runAt]),
  }
  /** The last look found nothing, and nothing that is due has been heard of since. */
  #isQueueEmpty = false
  /** How often it was heard of something that is due. */
  #heard = 0
  /** Slots of runs that are being stored as claimed by this node. */
  #reserved = 0
  #onNoneReserved: (() => void) | undefined
  #idleMs = FIRST_IDLE_MS

  constructor(
    parts: {
      runs: RunStore
      registry: JobRegistry
      executor: DispatcherExecutor
      clock: Clock
      events: Events
      nodeId: () => string
      holdsLease: () => boolean
    },
    options: DispatcherOptions,
  ) {
    super('dispatcher', parts.clock, parts.events)
    this.#runs = parts.runs
    this.#registry = parts.registry
    this.#clock = parts.clock
    this.#events = parts.events
    this.#nodeId = parts.nodeId
    this.#holdsLease = parts.holdsLease
    this.#options = options
    this.#executor = parts.executor
    this.#limits = new Map(
      [...parts.registry].flatMap((job) => (job.policy.limits ? [[job.id, job.policy.limits] as const] : [])),
    )
    this.#limited = [...this.#limits.keys()].map((jobId) => ({ jobId }))
  }

  /** There is new work: look at once. */
  override wake(): void {
    this.#idleMs = FIRST_IDLE_MS
    this.#isQueueEmpty = false
    this.#heard += 1
    super.wake()
  }

  /**
   * Reserves a slot for a run that is about to be stored, so that it is stored as claimed by this node and need not be looked for.
   * Undefined when it has to queue: others wait already, its job has limits that are counted over all nodes, or no slot is free.
   *
   * @returns the node's id; `begin` or `release` must follow
   */
  reserve(run: NewRun): string | undefined {
    const now = this.#clock.now()
    const job = this.#registry.find(run.jobId)
    const isFree = this.#reserved < this.#executor.freeSlots
    if (!isFree || !job || job.policy.limits || (run.runAt && run.runAt.getTime() > now)) return undefined
    if (!this.isRunning || !this.#isQueueEmpty || this.#soonestHint() <= now || !this.#holdsLease()) return undefined
    this.#reserved += 1
    return this.#nodeId()
  }

  /** Gives a reserved slot back: its run could not be stored. */
  release(): void {
    this.#reserved -= 1
    if (this.#reserved === 0) this.#onNoneReserved?.()
  }

  /** Starts a run that was stored as claimed by `nodeId`. */
  begin(runId: number, nodeId: string, run: NewRun): void {
    this.release()
    this.#executor.take(firstClaimOf(runId, run, new Date(this.#clock.now())), nodeId, this.#source)
  }

  /** Runs will be due at these times: look then. */
  expect(times: readonly Date[]): void {
    const now = this.#clock.now()
    let isDue = false
    let isSooner = false
    for (const time of times) {
      const ms = time.getTime()
      if (ms <= now) isDue = true
      else if (this.#hints.size < MAX_HINTS || this.#hints.has(ms)) {
        this.#hints.set(ms, 'ahead')
        isSooner = true
      }
    }
    if (isDue) this.wake()
    else if (isSooner) super.wake()
  }

  /** Runs that are being stored as claimed begin before the executor is asked to come to its end. */
  protected override async onStop(why: StopReason): Promise<void> {
    await super.onStop()
    if (this.#reserved > 0 && why === 'stop') await new Promise<void>((resolve) => (this.#onNoneReserved = resolve))
  }

  protected override async step(): Promise<number> {
    // Without a free slot what is claimed waits here for the next one; never of a job with limits, which count it as running.
    const isAhead = this.#executor.freeSlots - this.#reserved <= 0
    const free = (isAhead ? this.#executor.room : this.#executor.freeSlots) - this.#reserved
    if (free <= 0) {
      // Not looked, so not known: the next slot that is free is a reason to look, whatever the last look found.
      this.#isQueueEmpty = false
      return this.#options.pollMs
    }
    // Those that begin now may be over in a moment, and a claim of all their slots costs as much as one of a few.
    if (free < MAX_RUNS && this.#executor.isBeginning) return FIRST_IDLE_MS
    // Another node would take the claims away at once.
    if (!this.#holdsLease()) return FIRST_IDLE_MS
    const heard = this.#heard
    const now = this.#clock.now()
    for (const rate of this.#executor.waitingForRates) this.#leftOut.add({ ...rate, retryInMs: FIRST_IDLE_MS }, now)
    const leftOut = this.#leftOut.at(now)
    const except = isAhead ? [...leftOut, ...this.#limited] : leftOut
    const only = this.#options.onlyRegistered ? { only: this.#registry.ids } : {}
    if (this.#isQueueEmpty) {
      // One statement tells whether a claim is worth its transaction. Slots may have been reserved meanwhile, so they are counted anew.
      const look = await this.#runs.look({ except: leftOut, ...only })
      if (!look.isAnyDue) {
        await this.#claimEarly(look.now, heard)
        return this.#rest(heard)
      }
      this.#isQueueEmpty = false
      return 0
    }
    const limit = Math.min(free, MAX_RUNS)
    const nodeId = this.#nodeId()
    const {
      claims,
      blocked,
      refused,
      broken = [],
    } = await this.#runs.claim({
      ...{ nodeId, limit, except, ...only },
      limits: this.#limits,
      monotonic: () => this.#clock.monotonic(),
    })
    // From the answer on: a look that comes before the place is free would cost more statements than the answer took.
    const answeredAt = this.#clock.now()
    for (const one of blocked) this.#leftOut.add(one, answeredAt)
    for (const rate of refused ?? []) this.#reportRefused(rate)
    this.#leaveOutUnknown(claims)
    this.#handOver(claims, nodeId)
    if (broken.length > 0) return 0
    if (claims.length + blocked.length > 0) {
      this.#idleMs = FIRST_IDLE_MS
      // Behind what was left in the queue other runs may be due; and a full claim hints at more of the same.
      return claims.length === limit || blocked.length > 0 ? 0 : FIRST_IDLE_MS
    }
    // What it left aside may be due all the same.
    return isAhead ? this.#options.pollMs : this.#rest(heard)
  }

  /** A place within a rate may open in a moment: its run needs no slot until then. */
  #handOver(claims: readonly Claim[], nodeId: string): void {
    const now = this.#clock.monotonic()
    const early = new Map<number, Claim[]>()
    for (const claim of claims) {
      const opensAt = claim.place?.opensAt ?? 0
      const group = early.get(opensAt)
      if (opensAt <= now) this.#executor.take(claim, nodeId, this.#source)
      else if (group) group.push(claim)
      else early.set(opensAt, [claim])
    }
    for (const [opensAt, group] of early)
      this.#executor.takeEarly(group, Math.ceil(opensAt - now), nodeId, this.#source)
  }

  /** Nothing is due, unless it was heard of meanwhile. */
  #rest(heard: number): number {
    this.#isQueueEmpty = heard === this.#heard
    this.#idleMs = Math.min(this.#options.pollMs, this.#idleMs * 2)
    const now = this.#clock.now()
    const soonest = Math.min(now + this.#idleMs, this.#soonestLook(now), this.#leftOut.soonest)
    for (const time of this.#hints.keys()) if (time <= now) this.#hints.delete(time)
    return Math.max(1, soonest - now)
  }

  /**
   * Claims what will be due in a moment: of many runs that are due at one time the last would else wait for the claims of all others.
   * Behind a run of a job with limits, which is left for its time, nothing of a lower priority is taken.
   *
   * @param now the database's time, at this moment
   */
  async #claimEarly(now: Date, heard: number): Promise<void> {
    const lookedAt = this.#clock.monotonic()
    const until = this.#clock.now() + EARLY_MS
    const hinted = [...this.#hints].flatMap(([time, state]) => (time <= until && state === 'ahead' ? time : []))
    for (const time of hinted) this.#hints.set(time, 'claimed')
    let maxPriority: number | undefined
    while (hinted.length > 0 && heard === this.#heard && this.isRunning && this.#holdsLease()) {
      const limit = Math.min(this.#executor.roomForEarly - this.#reserved, MAX_RUNS)
      if (limit <= 0 || this.#executor.room <= 0) return
      const leftOut = this.#leftOut.at(this.#clock.now())
      const except = maxPriority === undefined ? leftOut : [...leftOut, ...this.#limited]
      const nodeId = this.#nodeId()
      const {
        claims,
        blocked,
        leftPriority,
        broken = [],
      } = await this.#runs.claim({
        nodeId,
        limit,
        early: { aheadMs: EARLY_MS, maxPriority },
        except,
        ...(this.#options.onlyRegistered && { only: this.#registry.ids }),
        limits: this.#limits,
      })
      if (broken.length > 0) continue
      this.#leaveOutUnknown(claims)
      // By the database's clock: this machine's may be another one.
      for (const [runAt, group] of Map.groupBy(claims, (claim) => claim.runAt.getTime())) {
        const ms = runAt - now.getTime() - (this.#clock.monotonic() - lookedAt)
        this.#executor.takeEarly(group, ms, nodeId, this.#source)
      }
      maxPriority ??= leftPriority
      // A claim that is not full says nothing: others may hold a part of what it looked at.
      if (claims.length > 0 || leftPriority !== undefined) continue
      // Unless another one was heard of meanwhile, there is nothing to look for when the time comes.
      const isAll = maxPriority === undefined && except.length + blocked.length === 0
      const isCovered = (time: number): boolean =>
        time <= now.getTime() + EARLY_MS && this.#hints.get(time) === 'claimed'
      if (isAll) for (const time of hinted) if (isCovered(time)) this.#hints.delete(time)
      return
    }
    // What is due goes first; the rest of this after it.
    for (const time of hinted) this.#hints.set(time, 'ahead')
  }

  #reportRefused({ jobId, key, refusal }: RefusedRate): void {
    const whose = key === '' ? `of job "${jobId}"` : `of job "${jobId}" for key ${describe(key)}`
    const thrown = new PikoError(
      'RATE_UNSTORABLE',
      `the rate ${whose} can't be stored: ${headline(refusal)}; its runs wait, all others go on. Check its row in piko_rate, and triggers on that table`,
      { cause: toError(refusal), details: { jobId, key } },
    )
    reportFailure(this.#events, { loop: this.name, thrown, retryInMs: REFUSED_RATE_MS, failures: 1 })
  }

  /** The executor gives them back; they are not to come again. */
  #leaveOutUnknown(claims: readonly Claim[]): void {
    for (const { jobId } of claims) if (!this.#registry.find(jobId)) this.#leftOut.addForGood(jobId)
  }

  #soonestHint(): number {
    let soonest = Infinity
    for (const time of this.#hints.keys()) soonest = Math.min(soonest, time)
    return soonest
  }

  /** One that is overdue is for the next look that finds nothing due. */
  #soonestLook(now: number): number {
    let soonest = Infinity
    for (const [time, state] of this.#hints)
      soonest = Math.min(
        soonest,
        state === 'ahead' ? Math.max(time - EARLY_MS, Math.min(time, now + FIRST_IDLE_MS)) : time,
      )
    return soonest
  }
}
