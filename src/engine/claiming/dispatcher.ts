import { headline } from '../../errors-read.ts'
import { describe, PikoError, toError } from '../../errors.ts'
import type { AdmissionLimits } from '../../run/limits.ts'
import type { JobRegistry } from '../../job/registry.ts'
import type { Claim } from '../../run/run.ts'
import type { Blocked } from '../../store/admission/blocked.ts'
import { REFUSED_RATE_MS, type RefusedRate } from '../../store/admission/rate-windows.ts'
import { firstClaimOf } from '../../store/runs/run-row.ts'
import { MAX_RUNS, type RunStore } from '../../store/runs/run-store.ts'
import type { ClaimRequest } from '../../store/runs/claim/claim-request.ts'
import type { Executor } from '../execution/executor.ts'
import type { ClaimSource } from '../execution/taken.ts'
import { DueTimes } from './due-times.ts'
import { LeftOut } from './left-out.ts'
import { Reservations } from './reservations.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Settings } from '../../settings/settings.ts'
import type { NewRun } from '../../store/runs/new-run.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'

const FIRST_IDLE_MS = 20
/** Runs with a known due time are claimed this long before it, if nothing is due now. */
const EARLY_MS = 250

type DispatcherExecutor = Pick<
  Executor,
  'isLeaving' | 'room' | 'freeSlots' | 'roomForEarly' | 'isBeginning' | 'waitingForRates' | 'take' | 'takeEarly'
>

/** What a step of the dispatcher does: wait for a slot, wait a moment, check whether a run is due, or claim. */
type Mode = 'full' | 'wait' | 'look' | 'claim'

/** How many more runs may be claimed, and how. */
interface Room {
  readonly free: number
  /** Whether claimed runs must wait for a slot, because none is free. */
  readonly isAhead: boolean
}

export interface DispatcherParts extends LoopServiceParts {
  readonly runs: RunStore
  readonly registry: JobRegistry
  readonly executor: DispatcherExecutor
  readonly nodeId: () => string
  readonly holdsLease: () => boolean
  readonly pollIntervalMs: Settings['piko']['pollIntervalMs']
  /** Whether to claim only jobs of the registry. Otherwise the node finds unknown jobs by claiming them. */
  readonly onlyRegistered: boolean
  /** Whether a claim that is not full has taken all due runs. Only a test's clock can be sure, because it looks for the due runs itself. */
  readonly claimsAll?: boolean
  /** Only these runs are claimed. Undefined: all. */
  readonly ownRuns?: ReadonlySet<number> | undefined
}

/**
 * Claims due runs for the free slots of this node and passes them to the executor. Claims again immediately after a full claim or when a
 * slot becomes free, and shortly before a planned run is due. Otherwise it pauses, each time longer, up to the poll interval.
 */
export class Dispatcher extends LoopService {
  readonly #parts: DispatcherParts
  readonly #limits: ReadonlyMap<string, AdmissionLimits>
  readonly #limited: readonly { readonly jobId: string }[]
  readonly #leftOut = new LeftOut()
  readonly #due = new DueTimes(EARLY_MS)
  readonly #reservations = new Reservations()
  readonly #source: ClaimSource = {
    // If the queue is empty, a free slot does not trigger a query.
    onFree: () => {
      if (!this.#isQueueEmpty) super.wake()
    },
    onEnded: (claim) => {
      if (this.#leftOut.release(claim) || !this.#isQueueEmpty) super.wake()
    },
    onGivenBack: ({ runAt }) => this.expect([runAt]),
  }
  /** Whether the last query found nothing and nothing has announced due work since then. */
  #isQueueEmpty = false
  /** How many times due work was announced. If this number grows during a query, the result of the query is out of date. */
  #heard = 0
  #idleMs = FIRST_IDLE_MS

  constructor(parts: DispatcherParts) {
    super('dispatcher', parts)
    this.#parts = parts
    this.#limits = new Map(
      [...parts.registry].flatMap((job) => (job.policy.limits ? [[job.id, job.policy.limits] as const] : [])),
    )
    this.#limited = [...this.#limits.keys()].map((jobId) => ({ jobId }))
  }

  /** Checks the queue immediately, because there is new work. */
  override wake(): void {
    this.#idleMs = FIRST_IDLE_MS
    this.#isQueueEmpty = false
    this.#heard += 1
    super.wake()
  }

  /** Like `wake`, and also stops leaving out what waits for the end of a run. */
  wakeAnew(): void {
    this.#leftOut.forgetEnds()
    this.wake()
  }

  /**
   * Reserves a slot for a new run, so that the run is stored as already claimed by this node. Returns undefined if the run has to wait in
   * the queue. For example, other runs are already waiting, no slot is free, or its job has limits, which all nodes share.
   *
   * @returns the node's id; the caller must then call `begin` or `release`
   */
  reserve(run: NewRun): string | undefined {
    const now = this.#parts.clock.now()
    const job = this.#parts.registry.find(run.jobId)
    const isFree = this.#reservations.count < this.#parts.executor.freeSlots
    if (!isFree || !job || job.policy.limits || (run.runAt && run.runAt.getTime() > now)) return undefined
    if (
      !this.isRunning ||
      this.#parts.executor.isLeaving ||
      !this.#isQueueEmpty ||
      this.#due.soonest <= now ||
      !this.#parts.holdsLease()
    )
      return undefined
    this.#reservations.take()
    return this.#parts.nodeId()
  }

  /** Frees a reserved slot whose run could not be stored. */
  release(): void {
    this.#reservations.release()
  }

  /** Starts a run that was stored as claimed by the node `nodeId`. */
  begin(runId: number, nodeId: string, run: NewRun): void {
    this.release()
    this.#parts.executor.take(firstClaimOf(runId, run, new Date(this.#parts.clock.now())), nodeId, this.#source)
  }

  /** Stores when runs will be due. The queue is checked at these times. */
  expect(times: readonly Date[]): void {
    const now = this.#parts.clock.now()
    let isDue = false
    let isSooner = false
    for (const time of times) {
      const ms = time.getTime()
      if (ms <= now) isDue = true
      else if (this.#due.add(ms)) isSooner = true
    }
    if (isDue) this.wake()
    else if (isSooner) super.wake()
  }

  /** Waits until reserved runs have begun, because the executor stops next. */
  protected override async onStop(why: StopReason): Promise<void> {
    await super.onStop()
    if (why === 'stop') await this.#reservations.none()
  }

  protected override async step(): Promise<number> {
    const room = this.#room()
    switch (this.#mode(room)) {
      case 'full':
        // The state of the queue is unknown, so the next free slot triggers a query.
        this.#isQueueEmpty = false
        return this.#parts.pollIntervalMs
      case 'wait':
        return FIRST_IDLE_MS
      case 'look':
        return this.#look()
      case 'claim':
        return this.#claim(room)
    }
  }

  #room(): Room {
    const { freeSlots, room } = this.#parts.executor
    const reserved = this.#reservations.count
    const isAhead = freeSlots - reserved <= 0
    return { isAhead, free: (isAhead ? room : freeSlots) - reserved }
  }

  #mode({ free }: Room): Mode {
    // Asks the executor, because a stop reaches this loop only a few turns of the event loop after the stop has begun.
    if (free <= 0 || this.#parts.executor.isLeaving || this.#parts.ownRuns?.size === 0) return 'full'
    // Waits if runs begin now: short runs may end in a moment, and one claim for all their slots is not slower than one for a few.
    if (free < MAX_RUNS && this.#parts.executor.isBeginning) return 'wait'
    // If this node has no valid lease, another node would immediately return these claims to the queue.
    if (!this.#parts.holdsLease()) return 'wait'
    return this.#isQueueEmpty ? 'look' : 'claim'
  }

  /**
   * Checks with one cheap statement whether a claim is worth its transaction. Slots may be reserved during this query, so the next step
   * counts them again.
   */
  async #look(): Promise<number> {
    const heard = this.#heard
    // A test's clock announces due runs, so no query is needed.
    if (this.#parts.claimsAll && this.#due.soonest > this.#parts.clock.now()) return this.#rest(heard)
    const look = await this.#parts.runs.look({ except: this.#currentlyLeftOut(), ...this.#only })
    if (look.isAnyDue) {
      this.#isQueueEmpty = false
      return 0
    }
    await this.#claimEarly(look.now, heard)
    return this.#rest(heard)
  }

  async #claim({ free, isAhead }: Room): Promise<number> {
    const heard = this.#heard
    const leftOut = this.#currentlyLeftOut()
    // If no slot is free, runs of jobs with limits are not claimed, because waiting runs would count toward their limits.
    const except = isAhead ? [...leftOut, ...this.#limited] : leftOut
    const limit = Math.min(free, MAX_RUNS)
    const nodeId = this.#parts.nodeId()
    this.#leftOut.asking()
    const {
      claims,
      blocked,
      refused,
      broken = [],
    } = await this.#parts.runs.claim({
      ...{ nodeId, limit, except, ...this.#only },
      limits: this.#limits,
      monotonic: () => this.#parts.clock.monotonic(),
    })
    // The time is measured after the answer. Otherwise the next query would come before the limit allows another run.
    const answeredAt = this.#parts.clock.now()
    this.#leftOut.answered(blocked, answeredAt)
    for (const rate of refused ?? []) this.#reportRefused(rate)
    this.#leaveOutUnknown(claims)
    this.#handOver(claims, nodeId)
    if (broken.length > 0) return 0
    if (claims.length + blocked.length > 0) {
      this.#idleMs = FIRST_IDLE_MS
      if (this.#parts.claimsAll && claims.length < limit && blocked.length === 0)
        this.#isQueueEmpty = heard === this.#heard
      // More due runs may follow those that were left in the queue. After a full claim, this is likely.
      return claims.length === limit || blocked.length > 0 ? 0 : FIRST_IDLE_MS
    }
    // With `isAhead`, the claim has left out runs of jobs with limits. These may be due, so the queue is not empty.
    return isAhead ? this.#parts.pollIntervalMs : this.#rest(heard)
  }

  /** The jobs or runs that may be claimed, if not all. */
  get #only(): Pick<ClaimRequest, 'only' | 'ids'> {
    const { onlyRegistered, registry, ownRuns } = this.#parts
    return { ...(onlyRegistered && { only: registry.ids }), ...(ownRuns && { ids: [...ownRuns] }) }
  }

  #currentlyLeftOut(): Blocked[] {
    const now = this.#parts.clock.now()
    for (const rate of this.#parts.executor.waitingForRates)
      this.#leftOut.add({ ...rate, retryInMs: FIRST_IDLE_MS }, now)
    return this.#leftOut.at(now)
  }

  /** Passes the claims to the executor. A run that must wait for its rate limit needs no slot during this wait. */
  #handOver(claims: readonly Claim[], nodeId: string): void {
    const now = this.#parts.clock.monotonic()
    const isEarly = ({ place }: Claim): boolean => place !== undefined && place.opensAt > now
    for (const claim of claims) if (!isEarly(claim)) this.#parts.executor.take(claim, nodeId, this.#source)
    for (const [opensAt = now, group] of Map.groupBy(claims.filter(isEarly), ({ place }) => place?.opensAt))
      this.#parts.executor.takeEarly(group, Math.ceil(opensAt - now), nodeId, this.#source)
  }

  /** Returns the pause after a query that found nothing. The queue is empty unless a signal of due work came during the query. */
  #rest(heard: number): number {
    this.#isQueueEmpty = heard === this.#heard
    this.#idleMs = Math.min(this.#parts.pollIntervalMs, this.#idleMs * 2)
    const now = this.#parts.clock.now()
    const idleMs = this.#parts.claimsAll ? Infinity : this.#idleMs
    const soonest = Math.min(
      now + idleMs,
      this.#due.soonestLook(now, FIRST_IDLE_MS),
      this.#leftOut.soonest(this.#parts.claimsAll),
    )
    this.#due.forgetPast(now)
    return Math.max(1, soonest - now)
  }

  /**
   * Claims runs that will be due in a moment. Without this, if many runs share a due time, the last one would have to wait for the claims
   * of all others. A run of a job with limits is not claimed early, and neither is any run with a lower priority than that run.
   *
   * @param now the current time of the database
   */
  async #claimEarly(now: Date, heard: number): Promise<void> {
    const lookedAt = this.#parts.clock.monotonic()
    const soon = this.#due.claimSoon(this.#parts.clock.now())
    let maxPriority: number | undefined
    while (soon.length > 0 && heard === this.#heard && this.isRunning && this.#parts.holdsLease()) {
      const limit = Math.min(this.#parts.executor.roomForEarly - this.#reservations.count, MAX_RUNS)
      if (limit <= 0 || this.#parts.executor.room <= 0) return
      const leftOut = this.#leftOut.at(this.#parts.clock.now())
      const except = maxPriority === undefined ? leftOut : [...leftOut, ...this.#limited]
      const nodeId = this.#parts.nodeId()
      const {
        claims,
        blocked,
        leftPriority,
        broken = [],
      } = await this.#parts.runs.claim({
        nodeId,
        limit,
        early: { aheadMs: EARLY_MS, maxPriority },
        except,
        ...this.#only,
        limits: this.#limits,
      })
      if (broken.length > 0) continue
      this.#leaveOutUnknown(claims)
      // Uses the database's clock, because this machine's may differ.
      for (const [runAt, group] of Map.groupBy(claims, (claim) => claim.runAt.getTime())) {
        const ms = runAt - now.getTime() - (this.#parts.clock.monotonic() - lookedAt)
        this.#parts.executor.takeEarly(group, ms, nodeId, this.#source)
      }
      maxPriority ??= leftPriority
      // A claim that is not full does not prove that no run is left, because other nodes may hold some of the rows.
      if (claims.length > 0 || leftPriority !== undefined) continue
      // If nothing was left out, all runs that are due at these times are claimed, so no query is needed then.
      const isAll = maxPriority === undefined && except.length + blocked.length === 0
      if (isAll) this.#due.done(soon, now.getTime())
      return
    }
    // Due runs come first. The remaining early runs are claimed after them.
    this.#due.leave(soon)
  }

  #reportRefused({ jobId, key, refusal }: RefusedRate): void {
    const whose = key === '' ? `of job "${jobId}"` : `of job "${jobId}" for key ${describe(key)}`
    const thrown = new PikoError(
      'RATE_UNSTORABLE',
      `the rate ${whose} can't be stored: ${headline(refusal)}; its runs wait, and all others continue. Check its row in piko_rate, and triggers on that table`,
      { cause: toError(refusal), details: { jobId, key } },
    )
    this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: REFUSED_RATE_MS, failures: 1 })
  }

  /** Leaves out jobs that this node does not know. The executor returns their runs to the queue for other nodes. */
  #leaveOutUnknown(claims: readonly Claim[]): void {
    claims.forEach(({ jobId }, index) => {
      if (jobId !== claims[index - 1]?.jobId && !this.#parts.registry.find(jobId)) this.#leftOut.addForGood(jobId)
    })
  }
}
