import type { Window } from '../time/window.ts'
import { type Alert, spanning } from './alert.ts'

/** A job with a deadline, and what is late in it. */
export interface Overdue {
  readonly jobId: string
  readonly late: Late | undefined
}

/** What is late: windows, or the run of a tick if the job has no windows. */
interface Late {
  /** The time from the start of the oldest late window to the end of the newest one. */
  readonly window?: Window
  /** The last tick whose run is late. */
  readonly tick?: Date
  /** How many windows are late, at most about 1,000; 1 for a tick. */
  readonly count: number
}

export interface LateChanges {
  /** Alerts that are new or have changed. */
  readonly written: readonly Alert[]
  /** Jobs whose alerts end without a notice, because they no longer have a deadline. */
  readonly dropped: readonly string[]
}

/**
 * Opens, continues and ends the alerts of late jobs. Pure.
 *
 * A recovery is recorded only after people have been notified that the job is late, so that each notice of a recovery follows a notice of
 * the problem.
 */
export function lateChanges(alerts: readonly Alert[], jobs: readonly Overdue[], now: Date): LateChanges {
  const known = new Map(alerts.filter(({ problem }) => problem === 'late').map((alert) => [alert.jobId, alert]))
  const written: Alert[] = []
  for (const { jobId, late } of jobs) {
    const alert = known.get(jobId)
    known.delete(jobId)
    if (late) {
      const changed = continued(alert, jobId, late, now)
      if (changed) written.push(changed)
    } else if (alert?.toldAt && !alert.recoveredAt) written.push({ ...alert, recoveredAt: now })
  }
  return { written, dropped: [...known.keys()] }
}

/**
 * Returns the changed alert of a late job; undefined if nothing has changed. Once people have been notified, the alert keeps the windows
 * that were late, so that the notice of the recovery names all of them.
 */
function continued(alert: Alert | undefined, jobId: string, late: Late, now: Date): Alert | undefined {
  const { count, tick } = late
  const same = { runId: undefined, error: undefined, recoveredAt: undefined, tick }
  if (!alert) {
    return {
      jobId,
      problem: 'late',
      ...same,
      window: late.window,
      count,
      openedAt: now,
      lastAt: now,
      toldAt: undefined,
    }
  }
  const told = alert.toldAt ? alert : undefined
  const [window, most] = [late.window && spanning(told?.window, late.window), Math.max(told?.count ?? 0, count)]
  const isWorse = isLater(late.window?.end, alert.window?.end) || isLater(tick, alert.tick)
  const isWider = isLater(alert.window?.start, window?.start)
  if (!isWorse && !isWider && !alert.recoveredAt && most === alert.count) return undefined
  return { ...alert, ...same, window, count: most, lastAt: isWorse ? now : alert.lastAt }
}

function isLater(one: Date | undefined, other: Date | undefined): boolean {
  return one !== undefined && (!other || one > other)
}
