import type { PlanDecision } from '../../store/jobs/plan.ts'

interface Own {
  readonly dueMs: number
  /** Whether the job was due, but another node planned it or held its row at that moment. */
  readonly isMissed: boolean
}

/**
 * Jobs that this node plans although another node is the leader, because the leader's code may not know them. These are the jobs that this
 * node has registered as new, and those that it was the last to plan. When another node has planned a job, it is removed from here.
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

  /** When the first of these jobs is due, in epoch milliseconds. */
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

  /** Updates the list after a pass that tried to plan these jobs. */
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
