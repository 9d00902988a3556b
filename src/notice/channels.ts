import { isMatch } from '../access/job-globs.ts'
import { type Alert, noticeJobOf } from './alert.ts'
import type { DueNotice } from './due-notices.ts'
import type { Notice, NoticeKind } from './notice.ts'

/** A way to notify people: the hooks of a job or of the app, or a notifier. */
export interface Channel {
  readonly name: string
  readonly on: readonly NoticeKind[]
  /** Globs of job ids; undefined: all. */
  readonly jobs?: readonly string[] | undefined
}

export type NoticeBody = Omit<Notice, 'id'>

export interface NewMessage {
  readonly channel: string
  readonly body: NoticeBody
}

export const APP_CHANNEL = 'app'
export const MAX_JOBS = 50

export function jobChannel(jobId: string): string {
  return `job:${jobId}`
}

export function notifierChannel(name: string): string {
  return `notifier:${name}`
}

/**
 * Creates the messages for notices: one for each channel that wants this kind of notice, with the jobs that the channel wants. Pure.
 *
 * @param hooksOf the kinds of notices for which a job has hooks
 */
export function messagesOf(
  due: readonly DueNotice[],
  channels: readonly Channel[],
  hooksOf: (jobId: string) => readonly NoticeKind[],
  at: Date,
): NewMessage[] {
  const messages: NewMessage[] = []
  for (const { kind, alerts } of due) {
    for (const alert of alerts)
      if (hooksOf(alert.jobId).includes(kind))
        messages.push({ channel: jobChannel(alert.jobId), body: bodyOf(kind, [alert], at) })
    for (const { name, on, jobs } of channels) {
      if (!on.includes(kind)) continue
      const wanted = jobs ? alerts.filter(({ jobId }) => jobs.some((glob) => isMatch(glob, jobId))) : alerts
      if (wanted.length > 0) messages.push({ channel: name, body: bodyOf(kind, wanted, at) })
    }
  }
  return messages
}

function bodyOf(kind: NoticeKind, alerts: readonly Alert[], at: Date): NoticeBody {
  return {
    ...{ kind, at },
    jobs: alerts.slice(0, MAX_JOBS).map(noticeJobOf),
    jobCount: alerts.length,
    count: alerts.reduce((sum, { count }) => sum + count, 0),
  }
}
