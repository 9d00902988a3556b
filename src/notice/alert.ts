import type { Window } from '../time/window.ts'
import type { NoticeJob, Problem } from './notice.ts'

/** A problem of one job, from its beginning until people have been notified of its end. */
export interface Alert {
  readonly jobId: string
  readonly problem: Problem
  readonly count: number
  readonly openedAt: Date
  readonly lastAt: Date
  readonly runId: number | undefined
  readonly error: string | undefined
  readonly window: Window | undefined
  /** For a job without windows: the last tick whose run is late. */
  readonly tick: Date | undefined
  /** When people were last notified about the problem. */
  readonly toldAt: Date | undefined
  readonly recoveredAt: Date | undefined
}

/** The failures of one job that one transaction has stored. */
export interface Failures {
  readonly jobId: string
  readonly count: number
  readonly at: Date
  readonly runId: number | undefined
  readonly error: string | undefined
  readonly window: Window | undefined
}

/** Adds failures to an alert, or opens an alert. Clears `recoveredAt`, because a job that fails again has not recovered. Pure. */
export function withFailures(alert: Alert | undefined, some: readonly Failures[]): Alert | undefined {
  return some.reduce<Alert | undefined>((known, one) => withFailure(known, one), alert)
}

function withFailure(alert: Alert | undefined, { jobId, count, at, runId, error, window }: Failures): Alert {
  if (!alert) {
    const times = { openedAt: at, lastAt: at, toldAt: undefined, recoveredAt: undefined, tick: undefined }
    return { ...{ jobId, problem: 'failure' as const, count, runId, error, window }, ...times }
  }
  const isNewer = at >= alert.lastAt
  return {
    ...alert,
    count: alert.count + count,
    openedAt: earlier(alert.openedAt, at),
    lastAt: isNewer ? at : alert.lastAt,
    runId: maxOf(alert.runId, runId),
    error: isNewer ? (error ?? alert.error) : alert.error,
    window: spanning(alert.window, window),
    recoveredAt: undefined,
  }
}

/** Returns the shortest window that contains both windows. */
export function spanning(one: Window | undefined, other: Window | undefined): Window | undefined {
  if (!one || !other) return one ?? other
  return { start: earlier(one.start, other.start), end: one.end > other.end ? one.end : other.end }
}

function earlier(one: Date, other: Date): Date {
  return one < other ? one : other
}

function maxOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other)
}

export function noticeJobOf(alert: Alert): NoticeJob {
  const { jobId, problem, count, openedAt, lastAt, runId, error, window, tick, toldAt, recoveredAt } = alert
  return {
    ...{ jobId, problem, count, since: openedAt, lastAt },
    ...(runId !== undefined && { runId }),
    ...(error !== undefined && { error }),
    ...(window && { window }),
    ...(tick && { tick }),
    ...(recoveredAt && { recoveredAt }),
    ...(toldAt && !recoveredAt && { isRepeated: true as const }),
  }
}
