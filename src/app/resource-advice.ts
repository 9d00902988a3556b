import { resourcesOf } from '../job/job-resources.ts'
import type { JobDefinition } from '../job/spec.ts'
import type { ResourceMap } from '../resource/resource.ts'

/** How many slots of a resource one attempt of a job borrows. */
export interface Demand {
  readonly name: string
  readonly size: number
  /** How many slots one attempt takes. */
  readonly slots: number
}

/** Advice is given if the number of runs that may wait is more than this many times the number of runs that can hold the resource. */
const MAX_WAITING_SHARE = 3

/**
 * Returns a sentence for each resource with too few slots. Such a resource can be needed by far more runs than can borrow it. The waiting
 * runs then occupy slots of the node that other jobs can't use. Pure.
 *
 * @param concurrency how many runs the node can run at the same time
 */
export function resourceAdvice(
  jobs: Iterable<JobDefinition>,
  concurrency: number,
  demandsOf: (map: ResourceMap) => readonly Demand[],
): string[] {
  const users = new Map<string, { size: number; can: number; wants: number; jobs: string[] }>()
  for (const job of jobs) {
    const map = resourcesOf(job)
    if (!map) continue
    for (const { name, size, slots } of demandsOf(map)) {
      const user = users.get(name) ?? { size, can: 0, wants: 0, jobs: [] }
      users.set(name, user)
      // A job that takes several slots leaves room for fewer runs.
      user.can = Math.max(user.can, Math.floor(size / slots))
      user.wants += mostAtOnce(job)
      user.jobs.push(job.id)
    }
  }
  return [...users].flatMap(([name, { size, can, wants, jobs: ids }]) => {
    const most = Math.min(wants, concurrency)
    if (most - can <= can * MAX_WAITING_SHARE) return []
    return (
      `this node can run ${most} runs of ${jobsText(ids)} at the same time, and resource ${name} has size ${size}: up to ${most - can} of them ` +
      `wait for it and hold slots of the node ([piko] concurrency = ${concurrency}). Raise its size, or set concurrency on these jobs`
    )
  })
}

function mostAtOnce({ policy: { limits, windows } }: JobDefinition): number {
  const declared = limits?.concurrency ?? Infinity
  return Math.min(declared, windows?.parallel ?? Infinity)
}

function jobsText(ids: readonly string[]): string {
  return ids.length === 1 ? `job "${ids[0]}"` : `${ids.length} jobs`
}
