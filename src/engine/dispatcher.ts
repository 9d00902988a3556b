import { type AdmissionLimits } from '../job/admission.ts'
import { type JobRegistry } from '../job/registry.ts'
import { type Claim } from '../job/run.ts'
import { type RunStore } from '../store/run-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { type Executor } from './executor.ts'
import { LeftOut } from './left-out.ts'
import { LoopService } from './loop-service.ts'

const LARGEST_CLAIM = 1_000
const FIRST_IDLE_MS = 20
/** Times of planned runs that are remembered. */
const MOST_HINTS = 1_000

export interface DispatcherOptions {
  readonly slots: number
  readonly pollMs: number
  /** Claim only the registry's jobs instead of learning which ones are not in it: for a node made for one job. */
  readonly onlyRegistered: boolean
}

/**
 * Claims due runs for the free slots of this node and hands them over. It looks again at once after a full claim or when a
 * slot gets free, when a planned run becomes due, and else with a pause that doubles up to the poll interval.
 */
export class Dispatcher extends LoopService {
  readonly #runs: RunStore
  readonly #registry: JobRegistry
  readonly #options: DispatcherOptions
  readonly #nodeId: () => string
  readonly #holdsLease: () => boolean
  readonly #executor: Pick<Executor, 'active' | 'take'>
  readonly #clock: Clock
  readonly #limits: ReadonlyMap<string, AdmissionLimits>
  readonly #leftOut = new LeftOut()
  readonly #hints = new Set<number>()
  readonly #onEnded = (claim: Claim): void => {
    this.#leftOut.release(claim)
    super.wake()
  }
  #idleMs = FIRST_IDLE_MS

  constructor(
    parts: {
      runs: RunStore
      registry: JobRegistry
      executor: Pick<Executor, 'active' | 'take'>
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
    this.#nodeId = parts.nodeId
    this.#holdsLease = parts.holdsLease
    this.#options = options
    this.#executor = parts.executor
    this.#limits = new Map(
      [...parts.registry].flatMap((job) => (job.policy.limits ? [[job.id, job.policy.limits] as const] : [])),
    )
  }

  /** There is new work: look at once. */
  override wake(): void {
    this.#idleMs = FIRST_IDLE_MS
    super.wake()
  }

  /** Runs will be due at these times: look then. */
  expect(times: readonly Date[]): void {
    const now = this.#clock.now()
    let isSooner = false
    for (const time of times) {
      if (time.getTime() <= now) isSooner = true
      else if (this.#hints.size < MOST_HINTS) {
        this.#hints.add(time.getTime())
        isSooner = true
      }
    }
    if (isSooner) this.wake()
  }

  protected override async step(): Promise<number> {
    const free = this.#options.slots - this.#executor.active
    if (free <= 0) return Infinity
    // Another node would take the claims away at once.
    if (!this.#holdsLease()) return FIRST_IDLE_MS
    const limit = Math.min(free, LARGEST_CLAIM)
    const nodeId = this.#nodeId()
    const now = this.#clock.now()
    const { claims, blocked } = await this.#runs.claim({
      nodeId,
      limit,
      ...(this.#options.onlyRegistered && { only: this.#registry.ids }),
      except: this.#leftOut.at(now),
      limits: this.#limits,
    })
    for (const one of blocked) this.#leftOut.add(one, now)
    for (const claim of claims) this.#start(claim, nodeId)
    if (claims.length + blocked.length > 0) {
      this.#idleMs = FIRST_IDLE_MS
      // Behind what was left in the queue other runs may be due; and a full claim hints at more of the same.
      return claims.length === limit || blocked.length > 0 ? 0 : FIRST_IDLE_MS
    }
    this.#idleMs = Math.min(this.#options.pollMs, this.#idleMs * 2)
    return this.#untilNextHint(this.#idleMs)
  }

  #start(claim: Claim, nodeId: string): void {
    if (!this.#registry.find(claim.jobId)) this.#leftOut.addForGood(claim.jobId)
    this.#executor.take(claim, nodeId, this.#onEnded)
  }

  #untilNextHint(delayMs: number): number {
    const now = this.#clock.now()
    let soonest = now + delayMs
    for (const time of this.#hints) {
      if (time <= now) this.#hints.delete(time)
      else soonest = Math.min(soonest, time)
    }
    return Math.max(1, Math.min(soonest, this.#leftOut.soonest) - now)
  }
}
