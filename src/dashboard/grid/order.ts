/** A row of the grid. */
export interface GridRow {
  readonly jobId: string
  /** How many levels of upstream jobs the job has. */
  readonly depth: number
  /** The time zone of the job's schedule. */
  readonly zone: string | undefined
}

interface Given {
  readonly id: string
  readonly dependsOn: readonly string[]
  readonly zone: string | undefined
}

/** Orders jobs so that each comes after all its upstream jobs, close to one of them. Other jobs are ordered by id. Pure. */
export function upstreamFirst(jobs: readonly Given[]): GridRow[] {
  const known = new Map(jobs.map((job) => [job.id, job]))
  const below = new Map<string, Given[]>()
  for (const job of jobs) for (const id of job.dependsOn) below.set(id, [...(below.get(id) ?? []), job])
  const depths = new Map<string, number>()
  const rows: GridRow[] = []
  const isReady = ({ dependsOn }: Given): boolean => dependsOn.every((id) => !known.has(id) || depths.has(id))
  const add = (job: Given): void => {
    if (depths.has(job.id) || !isReady(job)) return
    const depth = Math.max(-1, ...job.dependsOn.map((id) => depths.get(id) ?? -1)) + 1
    depths.set(job.id, depth)
    rows.push({ jobId: job.id, depth, zone: job.zone })
    for (const next of byId(below.get(job.id) ?? [])) add(next)
  }
  const sorted = byId(jobs)
  for (const job of sorted) add(job)
  // Jobs with circular dependencies can't run, but are shown.
  for (const { id, zone } of sorted) if (!depths.has(id)) rows.push({ jobId: id, depth: 0, zone })
  return rows
}

function byId(jobs: readonly Given[]): Given[] {
  return jobs.toSorted((one, other) => (one.id < other.id ? -1 : 1))
}
