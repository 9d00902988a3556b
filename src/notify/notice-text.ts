import { counted } from '../counted.ts'
import type { Notice, NoticeJob } from '../notice/notice.ts'
import { formatMs } from '../time/duration.ts'

/** The maximum number of jobs that the text of a notice lists. */
const MAX_LISTED = 10

/** Returns one line: `3 runs of sync_orders failed`. */
export function titleOf({ kind, jobs, jobCount, count }: Notice): string {
  const [first] = jobs
  const who = jobCount === 1 && first ? first.jobId : counted(jobCount, 'job')
  switch (kind) {
    case 'failure':
      return `${counted(count, 'run')} of ${who} failed`
    case 'late':
      return jobCount === 1 ? `${who} is late` : `${who} are late`
    case 'recovered':
      return jobCount === 1 ? `${who} has recovered` : `${who} have recovered`
    case 'test':
      return 'Test of Piko: this channel works'
  }
}

/**
 * Returns a line for each of the first jobs.
 *
 * @param link the address of the dashboard; empty: no links
 */
export function linesOf({ kind, jobs, jobCount, at }: Notice, link: string): string[] {
  const lines = jobs.slice(0, MAX_LISTED).map((job) => `${lineOf(kind, job)}${linkOf(job, link)}`)
  const rest = jobCount - lines.length
  if (rest > 0) lines.push(`and ${counted(rest, 'more job')}`)
  return kind === 'test' ? [`Sent at ${at.toISOString()}.`] : lines
}

function lineOf(kind: Notice['kind'], job: NoticeJob): string {
  const { jobId, problem, count, since, lastAt, error, window, tick, recoveredAt, isRepeated } = job
  const span = window ? ` (${window.start.toISOString()} – ${window.end.toISOString()})` : ''
  if (kind === 'recovered') {
    const lasted = formatMs((recoveredAt ?? lastAt).getTime() - since.getTime())
    return `${jobId}: works again after ${lasted}${problem === 'late' && !tick ? ', its data is complete' : ''}${span}`
  }
  const again = isRepeated ? 'still ' : ''
  if (problem === 'late') {
    if (tick) return `${jobId}: ${again}late, the run of ${tick.toISOString()} has not succeeded`
    return `${jobId}: ${again}late, ${counted(count, 'window')} without data${span}`
  }
  return `${jobId}: ${again}${counted(count, 'failure')} since ${since.toISOString()}${span}${error === undefined ? '' : `; last: ${error}`}`
}

function linkOf({ jobId, runId }: NoticeJob, link: string): string {
  if (link === '') return ''
  const base = link.replace(/\/+$/, '')
  return runId === undefined ? ` ${base}/jobs/${encodeURIComponent(jobId)}` : ` ${base}/runs/${runId}`
}
