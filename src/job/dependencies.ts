import { describe, PikoError } from '../errors.ts'
import type { JobDefinition } from './spec.ts'

/**
 * Checks the dependencies between jobs.
 *
 * @throws PikoError `DEPENDENCY_INVALID` for an unknown id, a job without windows, or a cycle, which the message shows
 */
export function assertDependencies(jobs: ReadonlyMap<string, JobDefinition>): void {
  for (const job of jobs.values()) {
    for (const id of job.policy.dependsOn) {
      const upstream = jobs.get(id)
      if (!upstream) {
        throw invalid(
          `job "${job.id}" depends on ${describe(id)}, and no job has that id; the jobs are ${[...jobs.keys()].slice(0, 20).join(', ')}`,
          job.id,
        )
      }
      if (!upstream.policy.windows) {
        throw invalid(`job "${job.id}" depends on "${id}", which has no windows; give it the option windows`, job.id)
      }
    }
  }
  const cycle = cycleIn(jobs)
  if (cycle)
    throw invalid(
      `jobs depend on each other in a cycle: ${cycle.join(' → ')}; remove one entry of dependsOn`,
      cycle[0] ?? '',
    )
}

/** Returns the jobs of a cycle. The first one is repeated at the end. */
function cycleIn(jobs: ReadonlyMap<string, JobDefinition>): string[] | undefined {
  const cleared = new Set<string>()
  // The search is not recursive, because a long chain of jobs would exceed the stack.
  for (const start of jobs.keys()) {
    const upstreams = jobs.get(start)?.policy.dependsOn ?? []
    if (upstreams.length === 0 || cleared.has(start)) continue
    const path: { id: string; rest: string[] }[] = [{ id: start, rest: [...upstreams] }]
    const onPath = new Set([start])
    for (let top = path.at(-1); top; top = path.at(-1)) {
      const next = top.rest.pop()
      if (next === undefined) {
        cleared.add(top.id)
        onPath.delete(top.id)
        path.pop()
      } else if (onPath.has(next)) {
        const ids = path.map(({ id }) => id)
        return [...ids.slice(ids.indexOf(next)), next]
      } else if (!cleared.has(next)) {
        path.push({ id: next, rest: [...(jobs.get(next)?.policy.dependsOn ?? [])] })
        onPath.add(next)
      }
    }
  }
  return undefined
}

function invalid(problem: string, jobId: string): PikoError {
  return new PikoError('DEPENDENCY_INVALID', problem, { details: { jobId } })
}
