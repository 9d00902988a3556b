import { zoneNamed } from './cron.ts'
import type { DstPolicy } from './dst.ts'
import { type DueParts, DueWindows } from './due-windows.ts'
import { offsetText } from './local-dates.ts'
import { Schedule, type ScheduleSpec } from './schedule.ts'
import { Timeline, type TimelineBounds, type Window } from './window.ts'
import type { Zone } from './zone.ts'

/** A tick, plus the delay of the windows if there is one, in the local time of its zone. */
export interface PreviewTick {
  readonly at: Date
  /** The local time, such as `2026-03-08T03:00:00`. */
  readonly local: string
  /** The offset from UTC, such as `-04:00`. */
  readonly offset: string
  /** `'gap'`: the tick replaces times that do not exist. `'overlap'`: its local time exists twice. */
  readonly transition: 'gap' | 'overlap' | null
}

export interface Preview {
  readonly ticks: readonly PreviewTick[]
  /** The windows that are due at these ticks. Without a grid or a delay, a window is due at the tick at which it ends. */
  readonly windows: readonly DueWindow[]
}

/** A window with the tick at which it is due. */
export interface DueWindow extends Window {
  readonly due: Date
}

/** The bounds of a job's windows, and the options that decide when they are due. */
export type PreviewBounds = TimelineBounds & DueParts

/**
 * Returns the first `count` ticks at or after `from`, and the windows that are due at them. If the windows have a delay, it is added to
 * each tick. Pure.
 *
 * @param bounds the bounds of the windows; `'none'` if there are no windows
 * @param jobId the job that errors name
 * @throws PikoError `SCHEDULE_INVALID`; `JOB_INVALID` if a calendar's function fails
 */
export function previewOf(
  spec: ScheduleSpec,
  from: Date,
  count: number,
  bounds?: PreviewBounds | 'none',
  jobId?: string,
): Preview {
  return previewer(spec, bounds, jobId)(from, count)
}

/**
 * Like {@link previewOf}, but for several calls with the same schedule: its cron expressions are parsed only once.
 *
 * @throws PikoError as `previewOf`
 */
export function previewer(
  spec: ScheduleSpec,
  bounds?: PreviewBounds | 'none',
  jobId?: string,
): (from: Date, count: number) => Preview {
  const schedule = Schedule.of(spec, jobId)
  const due = new DueWindows(bounds === 'none' ? {} : (bounds ?? {}), spec, jobId)
  const zone = zoneNamed(('timezone' in spec && spec.timezone) || 'UTC')
  const withoutGaps = spec.kind === 'cron' ? Schedule.of({ ...spec, dst: withoutAfter(spec.dst) }, jobId) : schedule
  const firstTicks = (from: Date, count: number): Date[] => {
    const ticks: Date[] = []
    for (
      let tick = due.firstFrom(from);
      tick && ticks.length < count;
      tick = due.firstFrom(new Date(tick.getTime() + 1))
    )
      ticks.push(tick)
    return ticks
  }
  const isForGap = (delayed: Date): boolean => {
    const tick = delayed.getTime() - due.delayMs
    return withoutGaps.next(new Date(tick - 1))?.getTime() !== tick
  }
  return (from, count) => {
    const ticks = firstTicks(from, count)
    return {
      ticks: ticks.map((at) => {
        const offset = zone.offsetAt(at.getTime())
        return {
          at,
          local: new Date(at.getTime() + offset).toISOString().slice(0, 19),
          offset: offsetText(offset),
          transition: isForGap(at) ? 'gap' : isTwice(zone, at.getTime()) ? 'overlap' : null,
        }
      }),
      windows: bounds === 'none' || spec.kind === 'at' ? [] : windowsOf(schedule, ticks, bounds, due),
    }
  }
}

function withoutAfter(dst: DstPolicy | undefined): DstPolicy {
  return { ...(typeof dst === 'object' && dst), gap: 'skip' }
}

/** The maximum number of windows to show at one tick. With a yearly schedule, half a million one-minute windows could be due at a tick. */
const MAX_AT_TICK = 1_000

function windowsOf(
  schedule: Schedule,
  ticks: readonly Date[],
  bounds: PreviewBounds | undefined,
  due: DueWindows,
): DueWindow[] {
  if (!bounds) {
    return ticks.flatMap((end) => {
      const start = schedule.previous(end)
      return start ? [{ start, end, due: end }] : []
    })
  }
  const timeline = new Timeline(bounds.grid ? Schedule.of(bounds.grid) : schedule, bounds)
  return ticks.flatMap((tick) => {
    const windows: DueWindow[] = []
    let window = timeline.latestBefore(due.lastEnd(tick))
    while (window && due.at(window.end)?.getTime() === tick.getTime() && windows.length < MAX_AT_TICK) {
      windows.push({ ...window, due: tick })
      window = timeline.latestBefore(window.start)
    }
    return windows.toReversed()
  })
}

const LONGEST_SHIFT_MS = 26 * 3_600_000

/** Whether another instant has the same local time in the zone. */
function isTwice(zone: Zone, at: number): boolean {
  const offset = zone.offsetAt(at)
  const last = zone.changeBefore(at, at - LONGEST_SHIFT_MS)
  if (last !== undefined && at < last + zone.offsetAt(last - 1) - offset) return true
  const next = zone.changeAfter(at, at + LONGEST_SHIFT_MS)
  return next !== undefined && at >= next + zone.offsetAt(next) - offset
}
