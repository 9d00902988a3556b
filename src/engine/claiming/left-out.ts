import type { Claim } from '../../run/run.ts'
import type { Blocked } from '../../store/admission/blocked.ts'

/**
 * How long claims leave out a job, a key or a backfill whose runs must wait, in milliseconds, unless one of its runs ends on this node
 * earlier.
 */
const SATURATED_MS = 250
/** The maximum number of entries. Claims do not leave out further ones. */
const MAX_ENTRIES = 10_000

type EndedClaim = Pick<Claim, 'jobId' | 'concurrencyKey' | 'backfillId'>

interface Entry {
  readonly blocked: Blocked
  readonly until: number
  /** Whether the entry is waiting for the end of a run. Otherwise it is waiting for a time. */
  readonly isConcurrency: boolean
}

/**
 * What claims leave out for now: jobs, or the runs of a job that share a key or a backfill. A limit is reached, another node has locked the
 * row of the job or backfill, or this node does not know the job.
 */
export class LeftOut {
  readonly #entries = new Map<string, Entry>()
  /** The runs that have ended during the current query; undefined if no query is in progress. */
  #ended: EndedClaim[] | undefined
  #endedNames: Set<string> | undefined

  /**
   * Begins to record the runs that end. Called before each query: if a run ends during the query, an answer that its limit is reached is
   * out of date.
   */
  asking(): void {
    this.#ended = []
    this.#endedNames = undefined
  }

  /** Adds the jobs, keys and backfills whose runs must wait, according to the answer. */
  answered(blocked: readonly Blocked[], now: number): void {
    for (const one of blocked) this.add(one, now)
    this.#ended = undefined
    this.#endedNames = undefined
  }

  add(blocked: Blocked, now: number): void {
    const { retryInMs } = blocked
    if (this.#entries.size >= MAX_ENTRIES) return
    const name = nameOf(blocked)
    if (retryInMs === undefined && this.#hasEnded(name)) return
    this.#entries.set(name, {
      blocked,
      until: now + (retryInMs ?? SATURATED_MS),
      isConcurrency: retryInMs === undefined,
    })
  }

  /** Leaves out an unknown job until the node stops, because the node's code does not change. */
  addForGood(jobId: string): void {
    this.#entries.set(nameOf({ jobId }), { blocked: { jobId }, until: Infinity, isConcurrency: false })
  }

  /** Removes the entries that are waiting for the end of this run. Returns false if there are none. */
  release(claim: EndedClaim): boolean {
    if (this.#ended && this.#ended.length < MAX_ENTRIES) this.#ended.push(claim)
    if (this.#entries.size === 0) return false
    let isFreed = false
    for (const name of namesOf(claim)) {
      if (!this.#entries.get(name)?.isConcurrency) continue
      this.#entries.delete(name)
      isFreed = true
    }
    return isFreed
  }

  #hasEnded(name: string): boolean {
    if (!this.#ended || this.#ended.length === 0) return false
    return (this.#endedNames ??= new Set(this.#ended.flatMap(namesOf))).has(name)
  }

  /** Removes all entries that are waiting for the end of a run. The run may have ended on another node. */
  forgetEnds(): void {
    for (const [name, { isConcurrency }] of this.#entries) if (isConcurrency) this.#entries.delete(name)
  }

  /** Returns the entries that are valid now. */
  at(now: number): Blocked[] {
    for (const [name, { until }] of this.#entries) if (until <= now) this.#entries.delete(name)
    return [...this.#entries.values()].map(({ blocked }) => blocked)
  }

  /**
   * Returns when the first entry ends.
   *
   * @param isTimed whether to consider only entries that are waiting for a time
   */
  soonest(isTimed = false): number {
    let soonest = Infinity
    for (const { until, isConcurrency } of this.#entries.values())
      if (!(isTimed && isConcurrency)) soonest = Math.min(soonest, until)
    return soonest
  }
}

/** Returns the names of the entries that may be waiting for the end of this run. */
function namesOf({ jobId, concurrencyKey, backfillId }: EndedClaim): string[] {
  return [{ jobId }, { jobId, concurrencyKey }, { jobId, backfillId: backfillId ?? null }].map(nameOf)
}

function nameOf({ jobId, concurrencyKey, rateKey, backfillId }: Blocked): string {
  return `${jobId}\n${concurrencyKey ?? ''}\n${rateKey ?? ''}\n${String(backfillId)}`
}
