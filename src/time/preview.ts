import { zoneNamed } from './cron.ts'
import type { DstPolicy } from './dst.ts'
import { Schedule, type ScheduleSpec } from './schedule.ts'
import { Timeline, type TimelineBounds, type Window } from './window.ts'
import type { Zone } from './zone.ts'

/** A tick as the clocks of its zone show it. */
export interface PreviewTick {
  readonly at: Date
  /** `2026-03-08T03:00:00` */
  readonly local: string
  /** `-04:00` */
  readonly offset: string
  /** `'gap'`: the tick replaces times that do not exist. `'overlap'`: its local time exists twice. */
  readonly transition: 'gap' | 'overlap' | null
}

export interface Preview {
  readonly ticks: readonly PreviewTick[]
  /** The windows that end with these ticks. */
  readonly windows: readonly Window[]
}

/**
 * The first `count` ticks at or after `from`. Pure.
 *
 * @param bounds the bounds of the windows; `'none'` if there are no windows
 * @param jobId the job to name in errors
 * @throws PikoError `SCHEDULE_INVALID`; `JOB_INVALID` if a calendar's function fails
 */
export function previewOf(
  spec: ScheduleSpec,
  from: Date,
  count: number,
  bounds?: TimelineBounds | 'none',
  jobId?: string,
): Preview {
  const schedule = Schedule.of(spec, jobId)
  const zone = zoneNamed(('timezone' in spec && spec.timezone) || 'UTC')
  const withoutGaps = spec.kind === 'cron' ? Schedule.of({ ...spec, dst: withoutAfter(spec.dst) }, jobId) : schedule
  const before = new Date(from.getTime() - 1)
  const ticks = schedule.upcoming(before, count)
  const isForGap = (tick: Date): boolean => withoutGaps.next(new Date(tick.getTime() - 1))?.getTime() !== tick.getTime()
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
    windows: bounds === 'none' || spec.kind === 'at' ? [] : windowsOf(schedule, ticks, bounds),
  }
}

function withoutAfter(dst: DstPolicy | undefined): DstPolicy {
  return { ...(typeof dst === 'object' && dst), gap: 'skip' }
}

function windowsOf(schedule: Schedule, ticks: readonly Date[], bounds: TimelineBounds | undefined): Window[] {
  if (bounds) {
    const timeline = new Timeline(schedule, bounds)
    return ticks.map((tick) => timeline.containing(new Date(tick.getTime() - 1))).filter((window) => !!window)
  }
  return ticks.flatMap((end) => {
    const start = schedule.previous(end)
    return start ? [{ start, end }] : []
  })
}

const LONGEST_SHIFT_MS = 26 * 3_600_000

/** Whether the zone's clocks show the same time at another instant. */
function isTwice(zone: Zone, at: number): boolean {
  const offset = zone.offsetAt(at)
  const last = zone.changeBefore(at, at - LONGEST_SHIFT_MS)
  if (last !== undefined && at < last + zone.offsetAt(last - 1) - offset) return true
  const next = zone.changeAfter(at, at + LONGEST_SHIFT_MS)
  return next !== undefined && at >= next + zone.offsetAt(next) - offset
}

/** Shows seconds only if there are any, as in offsets before standard time. */
function offsetText(offsetMs: number): string {
  const sign = offsetMs < 0 ? '-' : '+'
  const text = new Date(Math.abs(offsetMs)).toISOString().slice(11, 19)
  return sign + (text.endsWith(':00') ? text.slice(0, 5) : text)
}
