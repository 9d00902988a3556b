import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, PikoError } from '../../errors.ts'
import { timelineOf } from '../../engine/planning/plan-job.ts'
import type { JobDefinition, WindowPolicy } from '../../job/spec.ts'
import type { BackfillOrder } from '../../ledger/backfill.ts'
import type { Store } from '../../store/store.ts'
import { instantOf } from '../../time/instant.ts'
import type { Timeline, Window } from '../../time/window.ts'
import type { BackfillRequest } from './backfill-request.ts'

/** Number of windows to process before other work gets a turn; small enough to become garbage soon. */
const SLICE = 100

/** The windows of a job within a range whose time is over, whether or not they have run. */
export class BackfillRange {
  readonly #store: Store
  readonly #job: JobDefinition
  readonly #windows: WindowPolicy
  readonly #request: BackfillRequest
  readonly #timeline: Timeline
  readonly #from: Date
  readonly #to: Date

  /** @throws PikoError `USAGE` for bounds that form no range */
  static async of(
    store: Store,
    job: JobDefinition,
    windows: WindowPolicy,
    request: BackfillRequest,
  ): Promise<BackfillRange> {
    const from = instantOf('from of a backfill', request.from)
    const to = instantOf('to of a backfill', request.to)
    if (from >= to) {
      throw wrongBackfillOption('to', to.toISOString(), `an instant after from, ${from.toISOString()}`)
    }
    const timeline = timelineOf(job, windows, await store.jobs.generations(job.id))
    const { now } = await store.plans.agenda()
    return new BackfillRange(store, { job, windows, request, timeline, from, to: to < now ? to : now })
  }

  private constructor(
    store: Store,
    parts: {
      readonly job: JobDefinition
      readonly windows: WindowPolicy
      readonly request: BackfillRequest
      readonly timeline: Timeline
      readonly from: Date
      readonly to: Date
    },
  ) {
    this.#store = store
    this.#job = parts.job
    this.#windows = parts.windows
    this.#request = parts.request
    this.#timeline = parts.timeline
    this.#from = parts.from
    this.#to = parts.to
  }

  /**
   * Its windows in slices, so a million of them never exist together. Windows of the ledger keep their bounds; the others fill the space
   * around them.
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

  /** @throws PikoError `WINDOW_UNKNOWN` for a range without windows */
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
    if (!first || !last) throw this.noWindow()
    return { total, from: first.start, to: last.end }
  }

  /** The error for a range without windows. */
  noWindow(): PikoError {
    const { id: jobId } = this.#job
    const { from, to } = this.#request
    const { start, end } = this.#windows
    return new PikoError(
      'WINDOW_UNKNOWN',
      `no window of job "${jobId}" that is over lies within ${describe(from)} to ${describe(to)}; its windows begin at ` +
        `${start.toISOString()}${end ? ` and end at ${end.toISOString()}` : ''}`,
      { details: { jobId, from, to } },
    )
  }
}

export function wrongBackfillOption(option: string, value: unknown, expected: string): PikoError {
  return new PikoError('USAGE', `${option} of a backfill is ${describe(value)}; expected ${expected}`, {
    details: { option, value },
  })
}
