/** What the order of calls depends on. */
export interface OrderedCall {
  /** A later call has a higher id. */
  readonly id: number
  readonly priority: number
  /** The job to which the call belongs. */
  readonly job: string
}

/**
 * Calls that are waiting for a thread. They are ordered by priority; within a priority, jobs take turns; within a job, the oldest call
 * comes first.
 */
export class WaitingCalls<Call extends OrderedCall> {
  /** The waiting calls by priority, highest first. */
  #levels: { readonly priority: number; readonly jobs: Map<string, Set<Call>> }[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  add(call: Call): void {
    const jobs = this.#jobsOf(call.priority)
    const calls = jobs.get(call.job)
    if (calls) calls.add(call)
    else jobs.set(call.job, new Set([call]))
    this.#size++
  }

  delete(call: Call): boolean {
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
   * calls comes first, with its oldest call that fits.
   */
  take(
    running: (job: string) => number,
    mayRun: (job: string) => boolean = () => true,
    fits: (call: Call) => boolean = () => true,
  ): Call | undefined {
    for (const { jobs } of this.#levels) {
      const call = nextOf(jobs, running, mayRun, fits)
      if (call && this.delete(call)) return call
    }
    return undefined
  }

  /** Takes the first call for which `fits` is true. */
  takeFitting(fits: (call: Call) => boolean): Call | undefined {
    const call = firstOf(this.all(), fits)
    return call && this.delete(call) ? call : undefined
  }

  *all(): Generator<Call, void, undefined> {
    for (const { jobs } of this.#levels) for (const calls of jobs.values()) yield* calls
  }

  #jobsOf(priority: number): Map<string, Set<Call>> {
    const known = this.#levels.find((level) => level.priority === priority)
    if (known) return known.jobs
    const level = { priority, jobs: new Map<string, Set<Call>>() }
    this.#levels = [...this.#levels, level].toSorted((a, b) => b.priority - a.priority)
    return level.jobs
  }
}

function nextOf<Call extends OrderedCall>(
  jobs: ReadonlyMap<string, ReadonlySet<Call>>,
  running: (job: string) => number,
  mayRun: (job: string) => boolean,
  fits: (call: Call) => boolean,
): Call | undefined {
  let best: Call | undefined
  let fewest = Infinity
  for (const [job, calls] of jobs) {
    if (!mayRun(job)) continue
    const first = firstOf(calls, fits)
    const count = running(job)
    if (first === undefined || count > fewest || (count === fewest && best && best.id < first.id)) continue
    best = first
    fewest = count
  }
  return best
}

function firstOf<Call>(calls: Iterable<Call>, fits: (call: Call) => boolean): Call | undefined {
  for (const call of calls) if (fits(call)) return call
  return undefined
}
