import type { DependencyStore, RefusedWindow, WaitingWindow } from '../../store/windows/dependency-store.ts'
import { LoopService } from '../loop/loop-service.ts'
import type { JobDefinition } from '../../job/spec.ts'
import type { Window } from '../../time/window.ts'
import type { SettledRun } from '../execution/ending.ts'
import { refusedWindow } from '../refused-runs.ts'
import { type DriverParts, UNLED_LOOKS } from './driver-parts.ts'
import type { NewRun } from '../../store/runs/new-run.ts'

/** The minimum wait after a check that has found nothing. */
const REST_MS = 50
/** How long windows are skipped: those of a job whose functions fail or whose window is refused, and windows with an unreadable row. */
const PAUSE_MS = 10_000
const MAX_ASIDE = 1_000

/**
 * Creates the runs of windows that are waiting for windows of other jobs. The leader checks for them repeatedly. Every node also checks
 * when a window on which others depend has succeeded there, so that they need not wait for the leader. If two nodes begin a check at the
 * same time, one waits for the other, because each locks the windows.
 */
export class DependencyDriver extends LoopService {
  readonly #parts: DriverParts<DependencyStore>
  /** The jobs that depend on others. */
  readonly #dependents: readonly string[]
  readonly #upstreams: ReadonlySet<string>
  /** Windows with an unreadable row. Each has a time until which it is skipped. */
  readonly #windowsAside = new Map<number, number>()
  /** Jobs with failed functions or refused windows. Each has a time until which its windows are skipped. */
  readonly #setAside = new Map<string, number>()
  /** Whether a window that others may depend on has succeeded on this node. */
  #hasSucceeded = false
  #restUntil = 0

  constructor(parts: DriverParts<DependencyStore>) {
    super('dependencies', parts)
    this.#parts = parts
    this.#dependents = [...parts.registry].filter((job) => job.policy.dependsOn.length > 0).map((job) => job.id)
    this.#upstreams = new Set([...parts.registry].flatMap((job) => job.policy.dependsOn))
    parts.leader.onLead(() => this.wake())
  }

  /** Starts the next check after a run of this node has succeeded, if other jobs depend on its job. */
  settled({ jobId, state }: Pick<SettledRun, 'jobId' | 'state'>): void {
    if (state !== 'succeeded' || !this.#upstreams.has(jobId)) return
    this.#hasSucceeded = true
    this.wake()
  }

  protected override async step(): Promise<number> {
    if (this.#dependents.length === 0) return Infinity
    const followerMs = this.#parts.pollIntervalMs * UNLED_LOOKS
    const checksAll = this.#parts.leader.isLeader || this.#hasSucceeded
    // The leader does not check the windows of jobs that its code does not know.
    const dependents = checksAll ? this.#dependents : await this.#parts.unled.among(this.#dependents)
    if (dependents.length === 0) return followerMs
    // Limits the number of checks: thousands of windows may succeed, and every check covers all of them.
    const restMs = this.#restUntil - this.#parts.clock.now()
    if (restMs > 0) return restMs
    this.#hasSucceeded = false
    const now = this.#parts.clock.monotonic()
    for (const [id, until] of this.#windowsAside) if (until <= now) this.#windowsAside.delete(id)
    const { looked, promoted, refused, broken } = await this.#parts.store.promote(
      dependents.filter((jobId) => (this.#setAside.get(jobId) ?? -Infinity) <= now),
      {
        upstreams: (jobId) => this.#parts.registry.get(jobId).policy.dependsOn,
        runOf: (waiting) => this.#tryRunOf(waiting),
      },
      [...this.#windowsAside.keys()],
    )
    for (const one of refused) this.#reportRefused(one)
    for (const id of broken) if (this.#windowsAside.size < MAX_ASIDE) this.#windowsAside.set(id, now + PAUSE_MS)
    if (promoted > 0) this.#parts.onQueued(promoted)
    if (looked > 0) {
      this.#hasSucceeded = true
      return 0
    }
    // After a check of many windows, which takes a while, the database must have time for other work.
    const tookMs = this.#parts.clock.monotonic() - now
    this.#restUntil = this.#parts.clock.now() + Math.max(REST_MS, tookMs)
    // The pause is half of the interval, because the node that claims the run adds its own pause.
    return this.#parts.leader.isLeader ? this.#parts.pollIntervalMs / 2 : followerMs
  }

  #reportRefused({ jobId, window, refusal, hasFailed }: RefusedWindow): void {
    const retryInMs = hasFailed ? 0 : PAUSE_MS
    if (!hasFailed) this.#setAside.set(jobId, this.#parts.clock.monotonic() + PAUSE_MS)
    const thrown = refusedWindow(jobId, window, refusal, hasFailed)
    this.#parts.loops.failed({ loop: this.name, thrown, retryInMs, failures: 1 })
  }

  /** Returns the run of a window. Undefined if a function of the job fails: this must not block the other windows. */
  #tryRunOf(waiting: WaitingWindow): NewRun | undefined {
    const { jobId } = waiting
    if ((this.#setAside.get(jobId) ?? -Infinity) > this.#parts.clock.monotonic()) return undefined
    try {
      return this.#runOf(waiting)
    } catch (thrown) {
      this.#setAside.set(jobId, this.#parts.clock.monotonic() + PAUSE_MS)
      this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: PAUSE_MS, failures: 1 })
      return undefined
    }
  }

  #runOf({ jobId, window, backfill }: WaitingWindow): NewRun {
    const job = this.#parts.registry.get(jobId)
    const run: NewRun = backfill
      ? {
          jobId,
          kind: 'backfill',
          priority: backfill.priority,
          window,
          config: backfill.config,
          backfillId: backfill.id,
        }
      : { jobId, kind: 'dependency', priority: job.policy.priority, window, tick: tickOf(job, window) }
    return this.#parts.prepare.keyed(job, run)
  }
}

/**
 * Returns the tick of a window's run. Undefined for a window of a grid: several of these may share a tick, but a tick belongs to one run
 * only.
 */
function tickOf({ policy: { windows } }: JobDefinition, { end }: Window): Date | undefined {
  return windows?.grid ? undefined : new Date(end.getTime() + (windows?.delayMs ?? 0))
}
