import { isPikoError, PikoError } from '../errors.ts'
import { planBorrow } from '../resource/borrow-plan.ts'
import { ResourceGraph } from '../resource/resource-graph.ts'
import type { ResourceMap } from '../resource/resource.ts'
import { Faults } from './faults.ts'
import type { JobDefinition } from './spec.ts'

/** Returns the resources of a job; undefined if it has none. */
export function resourcesOf(job: JobDefinition): ResourceMap | undefined {
  return job.spec.resources as ResourceMap | undefined
}

/**
 * Checks the resources of all jobs.
 *
 * @throws PikoError `RESOURCE_INVALID` for wrong options, a cycle, a resource that needs one with a shorter lifetime, or a size smaller
 *   than what one run borrows; one error names all
 */
export function assertResources(jobs: Iterable<JobDefinition>): void {
  const graph = new ResourceGraph()
  const faults = new Faults()
  const told = new Set<string>()
  for (const job of jobs) {
    const map = resourcesOf(job)
    if (!map) continue
    try {
      planBorrow(graph.needsOf(map))
    } catch (thrown) {
      if (!isPikoError(thrown)) throw thrown
      // If jobs share an invalid resource, they have the same problem, which is reported only once.
      if (told.has(thrown.message)) continue
      told.add(thrown.message)
      const { code, message, details } = thrown
      faults.add(new PikoError(code, `job "${job.id}": ${message}`, { details: { ...details, jobId: job.id } }))
    }
  }
  faults.throwIfAny()
}
