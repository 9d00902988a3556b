import type { OffloadCall } from './offload-call.ts'

/**
 * Calls that are waiting for a thread. They are ordered by priority; within a priority, jobs take turns; within a job, the oldest call
 * comes first.
 */
export class WaitingCalls {
  /** The waiting calls by priority, highest first. */
  #levels: { readonly priority: number; readonly jobs: Map<string, Set<OffloadCall>> }[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(call: OffloadCall): void {
    const jobs = this.#jobsOf(call.priority)
    const calls = jobs.get(call.job)
    if (calls) calls.add(call)
    else jobs.set(call.job, new Set([call]))
    this.#size++
  }

  delete(call: OffloadCall): boolean {
    const jobs = this.#levels.find(({ priority }) => priority === call.priority)?.jobs
    const calls = jobs?.get(call.job)
    if (!calls?.delete(call)) return false
    this.#size--
    if (calls.size === 0) jobs?.delete(call.job)
    if (jobs?.size === 0) this.#levels = this.#levels.filter((level) => level.jobs !== jobs)
    return true
  }

  /**
   * Takes a call with the highest possible priority. Only jobs that may run one more call are considered; the job with the fewest running
   * calls comes first, with its oldest call.
   */
  take(running: (job: string) => number, mayRun: (job: string) => boolean): OffloadCall | undefined {
    for (const { jobs } of this.#levels) {
      const call = nextOf(jobs, running, mayRun)
      if (call && this.delete(call)) return call
    }
    return undefined
  }

  /** Takes the first call for which `fits` is true. */
  takeFitting(fits: (call: OffloadCall) => boolean): OffloadCall | undefined {
    for (const call of this.all()) if (fits(call) && this.delete(call)) return call
    return undefined
  }

  *all(): Generator<OffloadCall, void, undefined> {
    for (const { jobs } of this.#levels) for (const calls of jobs.values()) yield* calls
  }

  #jobsOf(priority: number): Map<string, Set<OffloadCall>> {
    const known = this.#levels.find((level) => level.priority === priority)
    if (known) return known.jobs
    const level = { priority, jobs: new Map<string, Set<OffloadCall>>() }
    this.#levels = [...this.#levels, level].toSorted((a, b) => b.priority - a.priority)
    return level.jobs
  }
}

function nextOf(
  jobs: ReadonlyMap<string, ReadonlySet<OffloadCall>>,
  running: (job: string) => number,
  mayRun: (job: string) => boolean,
): OffloadCall | undefined {
  let best: OffloadCall | undefined
  let fewest = Infinity
  for (const [job, calls] of jobs) {
    if (!mayRun(job)) continue
    const [first] = calls
    const count = running(job)
    if (first === undefined || count > fewest || (count === fewest && best && best.id < first.id)) continue
    best = first
    fewest = count
  }
  return best
}
