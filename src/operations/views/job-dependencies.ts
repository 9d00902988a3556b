import type { LedgerWindow } from '../../store/windows/window-store.ts'

/** A job that another one depends on, or that depends on it. */
export interface RelatedJob {
  readonly id: string
  readonly state: 'active' | 'paused'
  /** Its newest window; undefined if it has none. */
  readonly latest: LedgerWindow | undefined
  /** Whether a window of this job has failed and has not run again since. */
  readonly hasFailed: boolean
}

/** The jobs around one job, upstream and downstream, with their states. */
export interface JobDependencies {
  readonly jobs: readonly RelatedJob[]
  /** The dependencies: the job `to` depends on the job `from`. */
  readonly edges: readonly Edge[]
  /** False if there are more jobs than these; the result contains the jobs nearest to this one. */
  readonly isWhole: boolean
}

export interface Edge {
  readonly from: string
  readonly to: string
}

/** The jobs that a job depends on, directly or not, and those that depend on it: nearest first, the job itself before all. Pure. */
export function relatedJobs(jobId: string, edges: readonly Edge[], most: number): { ids: string[]; isWhole: boolean } {
  const upstreams = Map.groupBy(edges, ({ to }) => to)
  const downstreams = Map.groupBy(edges, ({ from }) => from)
  const up = reached(jobId, (id) => (upstreams.get(id) ?? []).map(({ from }) => from))
  const down = reached(jobId, (id) => (downstreams.get(id) ?? []).map(({ to }) => to))
  const both = [jobId, ...[...up, ...down].toSorted(([, one], [, other]) => one - other).map(([id]) => id)]
  const ids = [...new Set(both)]
  return { ids: ids.slice(0, most), isWhole: ids.length <= most }
}

/** All ids that can be reached from `start`, each with its distance in steps. Without `start` itself. */
function reached(start: string, next: (id: string) => readonly string[]): Map<string, number> {
  const steps = new Map([[start, 0]])
  // The loop over a map also visits the entries that are added during the loop.
  for (const [id, step] of steps) for (const one of next(id)) if (!steps.has(one)) steps.set(one, step + 1)
  steps.delete(start)
  return steps
}
