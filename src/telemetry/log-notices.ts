import type { Logger } from '../logger.ts'
import { formatMs } from '../time/duration.ts'
import type { Events } from '../events.ts'

/** Logs the results of notices. Returns the functions that stop the logging. */
export function logNotices(events: Events, log: Logger): (() => void)[] {
  return [
    events.on('notice.sent', ({ noticeId, channel, kind, jobCount, count, tries, durationMs }) => {
      const fields = { piko_event: 'notice.sent', notice_id: noticeId, channel, kind, jobs: jobCount, count, tries }
      log.info(
        { ...fields, duration_ms: Math.round(durationMs) },
        `notice ${noticeId} (${kind}) delivered to ${channel}`,
      )
    }),
    events.on('notice.failed', ({ noticeId, channel, kind, tries, error, retryInMs }) => {
      const next =
        retryInMs === undefined
          ? 'no further try, because the first was a day ago'
          : `retrying in ${formatMs(retryInMs)}`
      const fields = { piko_event: 'notice.failed', notice_id: noticeId, channel, kind, tries, err: error }
      log.error(fields, `notice ${noticeId} (${kind}) could not be delivered to ${channel}; ${next}`)
    }),
  ]
}
