import type { LedgerWindow } from '../../store/windows/window-store.ts'

/** A job in the result: the requested job, or one of its upstream or downstream jobs. */
export interface RelatedJob {
  readonly id: string
  readonly state: 'active' | 'paused'
  /** The newest window of the job; undefined if it has none. */
  readonly latest: LedgerWindow | undefined
  /** Whether the job has a failed window. */
  readonly hasFailed: boolean
}

/** A job and its upstream and downstream jobs. */
export interface JobDependencies {
  readonly jobs: readonly RelatedJob[]
  /** The dependencies: the job `to` depends on the job `from`. */
  readonly edges: readonly Edge[]
  /** False if there are more jobs; then the result contains only the nearest ones. */
  readonly isWhole: boolean
}

export interface Edge {
  readonly from: string
  readonly to: string
}

/** Returns a job's upstream and downstream jobs, direct and indirect, nearest first, after the job itself. Pure. */
export function relatedJobs(jobId: string, edges: readonly Edge[], most: number): { ids: string[]; isWhole: boolean } {
  const upstreams = Map.groupBy(edges, ({ to }) => to)
  const downstreams = Map.groupBy(edges, ({ from }) => from)
  const up = reached(jobId, (id) => (upstreams.get(id) ?? []).map(({ from }) => from))
  const down = reached(jobId, (id) => (downstreams.get(id) ?? []).map(({ to }) => to))
  const both = [jobId, ...[...up, ...down].toSorted(([, one], [, other]) => one - other).map(([id]) => id)]
  const ids = [...new Set(both)]
  return { ids: ids.slice(0, most), isWhole: ids.length <= most }
}

/** Returns all ids that can be reached from `start`, each with its distance in steps. `start` itself is not included. */
function reached(start: string, next: (id: string) => readonly string[]): Map<string, number> {
  const steps = new Map([[start, 0]])
  // A loop over a map also visits the entries that are added during the loop.
  for (const [id, step] of steps) for (const one of next(id)) if (!steps.has(one)) steps.set(one, step + 1)
  steps.delete(start)
  return steps
}
