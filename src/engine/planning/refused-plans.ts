import { headline } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import type { LoopServiceParts } from '../loop/loop-service.ts'
import type { RefusedPlan } from '../../store/jobs/plan.ts'

/** After this time, the planner tries a skipped job again, because a person may have corrected the cause. */
const PAUSE_MS = 10_000

/** Jobs that the planner skips for a while, because the store refuses their plans or can't read their rows. */
export class RefusedPlans {
  readonly #parts: LoopServiceParts
  readonly #until = new Map<string, number>()
  /** The last reported problem of each job. */
  readonly #reported = new Map<string, string>()

  constructor(parts: LoopServiceParts) {
    this.#parts = parts
  }

  /** The jobs that are skipped now. */
  get current(): ReadonlySet<string> {
    if (this.#until.size === 0) return NONE
    const now = this.#parts.clock.monotonic()
    for (const [jobId, until] of this.#until) if (until <= now) this.#until.delete(jobId)
    return new Set(this.#until.keys())
  }

  /** Skips a job for a while. Reports the reason, but only if it has changed. */
  add({ jobId, refusal }: RefusedPlan): void {
    this.#until.set(jobId, this.#parts.clock.monotonic() + PAUSE_MS)
    const reason = headline(refusal)
    if (this.#reported.get(jobId) === reason) return
    this.#reported.set(jobId, reason)
    const isBroken = refusal instanceof BrokenRow
    const where = isBroken
      ? ''
      : '. Check its rows in piko_job, piko_generation and piko_window, and its windows and jitter'
    const thrown = new PikoError(
      'PLAN_REFUSED',
      `job "${jobId}" can't be planned: ${reason}; all other jobs continue${where}`,
      {
        cause: toError(refusal),
        details: { jobId, ...(isBroken && { table: refusal.table, key: refusal.key, columns: refusal.columns }) },
      },
    )
    this.#parts.loops.failed({ loop: 'planner', thrown, retryInMs: PAUSE_MS, failures: 1 })
  }
}

const NONE: ReadonlySet<string> = new Set()
