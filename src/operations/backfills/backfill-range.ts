import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, PikoError } from '../../errors.ts'
import { scheduleInForce, timelineOf, zoneOfDefinition } from '../../engine/planning/plan-job.ts'
import { zoneOfJob } from '../../engine/planning/stored-job.ts'
import type { JobDefinition, WindowPolicy } from '../../job/spec.ts'
import type { BackfillOrder } from '../../ledger/backfill.ts'
import type { Store } from '../../store/store.ts'
import { DueWindows } from '../../time/due-windows.ts'
import { describeMoment, momentOf } from '../../time/local-dates.ts'
import type { Timeline, Window } from '../../time/window.ts'
import { type NearWindows, nearestRangeText, windowsNear } from '../windows-near.ts'
import type { BackfillRequest } from './backfill-request.ts'

/**
 * How many windows to process before other work gets a turn. The number is small, so that the garbage collector can free each slice early.
 */
const SLICE = 100

/** The due windows of a job within a range, whether or not they have run. */
export class BackfillRange {
  readonly #store: Store
  readonly #job: JobDefinition
  readonly #windows: WindowPolicy
  readonly #request: BackfillRequest
  readonly #timeline: Timeline
  readonly #from: Date
  readonly #to: Date
  readonly #zone: string
  readonly #lastEnd: Date

  /** Creates the range of a request. @throws PikoError `USAGE` if the two bounds are not a valid range */
  static async of(
    store: Store,
    job: JobDefinition,
    windows: WindowPolicy,
    request: BackfillRequest,
  ): Promise<BackfillRange> {
    const row = await store.jobs.find(job.id)
    const zone = row ? zoneOfJob(row) : zoneOfDefinition(job)
    const from = momentOf('from of a backfill', request.from, zone)
    const to = momentOf('to of a backfill', request.to, zone)
    if (from >= to) {
      throw wrongBackfillOption('to', to.toISOString(), `an instant after from, ${from.toISOString()}`)
    }
    const timeline = timelineOf(job, windows, await store.jobs.generations(job.id))
    const { now } = await store.plans.agenda()
    const schedule = scheduleInForce(job, row?.plannedSchedule)
    const lastEnd = schedule ? new DueWindows(windows, schedule, job.id).lastEndOnRequest(now) : now
    return new BackfillRange(store, { job, windows, request, zone, timeline, from, to, lastEnd })
  }

  private constructor(
    store: Store,
    parts: {
      readonly job: JobDefinition
      readonly windows: WindowPolicy
      readonly request: BackfillRequest
      readonly timeline: Timeline
      readonly zone: string
      readonly from: Date
      readonly to: Date
      /** The latest end of a window that can be requested now. */
      readonly lastEnd: Date
    },
  ) {
    this.#store = store
    this.#job = parts.job
    this.#windows = parts.windows
    this.#request = parts.request
    this.#timeline = parts.timeline
    this.#from = parts.from
    this.#to = parts.to < parts.lastEnd ? parts.to : parts.lastEnd
    this.#zone = parts.zone
    this.#lastEnd = parts.lastEnd
  }

  /**
   * Yields the windows of the range in slices, so that a million of them are never in memory together. Windows in the ledger keep their
   * bounds; new windows fill the time between them.
   */
  async *slices(order: BackfillOrder): AsyncGenerator<Window[]> {
    const isOldest = order === 'oldest'
    const isInRange = (window: Window | undefined): window is Window =>
      window !== undefined && window.start >= this.#from && window.end <= this.#to
    let at: Date | undefined = isOldest ? this.#from : this.#to
    while (at) {
      const { windows, until } = await this.#store.windows.stored(this.#job.id, at, isOldest ? 'after' : 'before')
      const timeline = this.#timeline.around(windows)
      const isKnown = (window: Window): boolean => !until || (isOldest ? window.end <= until : window.start >= until)
      let next: Window | undefined = isOldest ? timeline.firstFrom(at) : timeline.latestBefore(at)
      while (isInRange(next) && isKnown(next)) {
        const slice: Window[] = []
        while (isInRange(next) && isKnown(next) && slice.length < SLICE) {
          slice.push(next)
          next = isOldest ? timeline.windowFrom(next.end) : timeline.latestBefore(next.start)
        }
        yield slice
      }
      at = isInRange(next) ? until : undefined
    }
  }

  /** Counts the windows of the range. @throws PikoError `WINDOW_UNKNOWN` for a range without windows */
  async count(): Promise<{ readonly total: number; readonly from: Date; readonly to: Date }> {
    let total = 0
    let first: Window | undefined
    let last: Window | undefined
    for await (const slice of this.slices('oldest')) {
      first ??= slice[0]
      last = slice.at(-1)
      total += slice.length
      await nextTurn()
    }
    if (!first || !last) throw await this.noWindow()
    return { total, from: first.start, to: last.end }
  }

  async noWindow(): Promise<PikoError> {
    const { id: jobId } = this.#job
    const { from, to } = this.#request
    const { start, end } = this.#windows
    const nearest = nearestRangeText(await this.#near(), this.#zone)
    return new PikoError(
      'WINDOW_UNKNOWN',
      `no ended window of job "${jobId}" lies between ${describeMoment(from)} and ${describeMoment(to)}; ` +
        `${nearest ? `${nearest}; ` : ''}its windows begin at ` +
        `${start.toISOString()}${end ? ` and end at ${end.toISOString()}` : ''}`,
      { details: { jobId, from, to } },
    )
  }

  async #near(): Promise<NearWindows> {
    const { windows } = this.#store
    // If a window starts at the beginning of the range but is longer than the range, it is the nearest window.
    const from = new Date(this.#from.getTime() + 1)
    const around = async (side: 'before' | 'after'): Promise<NearWindows> => {
      const { windows: stored } = await windows.stored(this.#job.id, from, side)
      return windowsNear(this.#timeline.around(stored), from, this.#lastEnd)
    }
    return { before: (await around('before')).before, after: (await around('after')).after }
  }
}

export function wrongBackfillOption(option: string, value: unknown, expected: string): PikoError {
  return new PikoError('USAGE', `${option} of a backfill is ${describe(value)}; expected ${expected}`, {
    details: { option, value },
  })
}
