import type { PlanDecision } from '../../store/jobs/plan.ts'

interface Own {
  readonly dueMs: number
  /** The job was due, but another node planned it or held its row at that moment. */
  readonly isMissed: boolean
}

/**
 * The jobs that this node plans while another node leads, since the leader's code may not know them. These are jobs that it registered as
 * new, and jobs that it was the last to plan. A job is removed when another node has planned it.
 */
export class OwnPlans {
  readonly #jobs = new Map<string, Own>()

  keep(jobId: string, planAt: Date | undefined): void {
    if (planAt) this.#jobs.set(jobId, { dueMs: planAt.getTime(), isMissed: false })
    else this.#jobs.delete(jobId)
  }

  giveUp(jobId: string): void {
    this.#jobs.delete(jobId)
  }

  /** When the next of these jobs is due, in epoch milliseconds. */
  get nextMs(): number {
    let next = Infinity
    for (const { dueMs } of this.#jobs.values()) next = Math.min(next, dueMs)
    return next
  }

  dueBy(instant: Date, limit: number): string[] {
    const ids: string[] = []
    for (const [id, { dueMs }] of this.#jobs) {
      if (ids.length === limit) break
      if (dueMs <= instant.getTime()) ids.push(id)
    }
    return ids
  }

  /** Updates these jobs after a pass that tried to plan them. */
  settle(jobIds: readonly string[], written: readonly PlanDecision[], retryAt: Date): void {
    const planned = new Set(written.map(({ jobId }) => jobId))
    for (const id of jobIds) {
      const own = this.#jobs.get(id)
      if (!own || planned.has(id)) continue
      if (own.isMissed) this.#jobs.delete(id)
      else this.#jobs.set(id, { dueMs: retryAt.getTime(), isMissed: true })
    }
  }
}
