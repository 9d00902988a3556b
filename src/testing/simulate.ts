import { wrongCall } from '../call-options.ts'
import { zoneOfDefinition } from '../engine/planning/plan-job.ts'
import { PikoError } from '../errors.ts'
import { aText, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../options.ts'
import { describeMoment, momentOf, readMoment, type WindowInput } from '../time/local-dates.ts'
import { type DueWindow, type PreviewTick, previewOf } from '../time/preview.ts'
import { testedJob } from './tested-job.ts'

const DEFAULT_TICKS = 10_000
const MAX_TICKS = 1_000_000
/** The maximum number of ticks that are computed in one step. */
const STEP_TICKS = 500

export interface SimulateOptions {
  /** The start of the range, included: an instant with its zone, or a day in the job's zone (`'2026-03-01'`). */
  readonly from: WindowInput
  /** The end of the range, not included. */
  readonly to: WindowInput
  /** The maximum number of ticks to return. Default 10,000, at most 1,000,000. */
  readonly limit?: number
  /** The id of the job, if the class has several jobs. */
  readonly id?: string
}

export interface Simulation {
  /** Each tick, with its local time, its offset from UTC, and whether clocks change at that moment. */
  readonly ticks: readonly PreviewTick[]
  /** The windows that are due at these ticks; `due` is the tick. Empty for a job without windows. */
  readonly windows: readonly DueWindow[]
  /** The first tick beyond the limit. Pass it as `from` to continue. Undefined if all ticks were returned. */
  readonly next: Date | undefined
}

/**
 * Returns the ticks of a job's own schedule in `[from, to)`, and the windows that are due at them. Runs nothing and needs no store. Does
 * not apply `jitter`, `overlap`, `catchUp` or a schedule set at run time.
 *
 * @param job a job of `defineJob`, or a class or an instance with `@job`
 * @throws PikoError `USAGE` that names all problems, or if the job has no schedule; `JOB_INVALID` if a calendar's function fails
 * @example
 * const { ticks } = simulate(report, { from: '2026-03-28', to: '2026-03-31' })
 * expect(ticks.map(({ local }) => local)).toEqual(['2026-03-28T06:00:00', '2026-03-29T06:00:00', '2026-03-30T06:00:00'])
 */
export function simulate(job: object, options: SimulateOptions): Simulation {
  const { from: begin, to: end, limit = DEFAULT_TICKS, id } = checked(options)
  const tested = testedJob('simulate', job, id)
  const { schedule, windows: bounds } = tested.policy
  if (!schedule) {
    throw new PikoError(
      'USAGE',
      `simulate: job "${tested.id}" has no schedule, so it has no ticks; give it "cron", "every" or "at", or request its runs with runJob or app.run`,
      { details: { jobId: tested.id } },
    )
  }
  const zone = zoneOfDefinition(tested)
  const from = momentOf('simulate: from', begin, zone)
  const to = momentOf('simulate: to', end, zone)
  if (to <= from) throw wrongCall('simulate', [`to ${to.toISOString()} is not after from ${from.toISOString()}`])
  const ticks: PreviewTick[] = []
  const windows: DueWindow[] = []
  for (let at = from; ;) {
    const count = Math.min(STEP_TICKS, limit + 1 - ticks.length)
    const step = previewOf(schedule, at, count, bounds ?? 'none', tested.id)
    for (const tick of step.ticks) {
      if (tick.at >= to) return { ticks, windows, next: undefined }
      if (ticks.length === limit) return { ticks, windows, next: tick.at }
      ticks.push(tick)
      windows.push(...step.windows.filter(({ due }) => due.getTime() === tick.at.getTime()))
    }
    const last = step.ticks.at(-1)
    if (!last || step.ticks.length < count) return { ticks, windows, next: undefined }
    at = new Date(last.at.getTime() + 1)
  }
}

/** The value is checked with UTC here, because the zone is unknown until the job is found. */
const aMoment: OptionCheck = (value) => {
  const reading = readMoment(value, 'UTC')
  return 'date' in reading ? undefined : `is ${describeMoment(value)}; expected ${reading.expected}`
}

const CHECKS: OptionChecks<SimulateOptions> = {
  from: aMoment,
  to: aMoment,
  limit: wholeNumber(1, MAX_TICKS),
  id: aText,
}

function checked(given: SimulateOptions): SimulateOptions {
  const { options, problems } = readOptions<SimulateOptions>(
    given,
    CHECKS,
    "{ from: '2026-03-01', to: '2026-04-01' }",
    ['from', 'to'],
  )
  if (problems.length === 0) return options as SimulateOptions
  throw wrongCall('simulate', problems)
}
