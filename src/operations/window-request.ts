import { timelineOf, zoneOfDefinition } from '../engine/planning/plan-job.ts'
import { zoneOfJob } from '../engine/planning/stored-job.ts'
import { PikoError } from '../errors.ts'
import type { JobDefinition } from '../job/spec.ts'
import type { Store } from '../store/store.ts'
import { describeMoment, momentOf, type WindowInput } from '../time/local-dates.ts'
import type { Window } from '../time/window.ts'
import { nearestText, windowsNear } from './windows-near.ts'

/**
 * Returns the window that starts at the requested instant or on the requested date.
 *
 * @returns undefined for a job without windows
 * @throws PikoError `WINDOW_UNKNOWN`
 */
export async function windowOf(
  { jobs, windows: ledger }: Pick<Store, 'jobs' | 'windows'>,
  job: JobDefinition,
  asked: WindowInput | undefined,
): Promise<Window | undefined> {
  const { windows, schedule } = job.policy
  if (!windows || !schedule) {
    if (asked === undefined) return undefined
    throw new PikoError(
      'WINDOW_UNKNOWN',
      `job "${job.id}" has no windows; leave out the window ${describeMoment(asked)}`,
    )
  }
  const row = await jobs.find(job.id)
  const cursor = row?.windowCursor
  // Only a node that plans writes the cursor; `piko run` does not. So there may be no cursor.
  const known = cursor
    ? `the ledger knows those from ${windows.start.toISOString()} to ${cursor.toISOString()}`
    : `no node has planned job "${job.id}" yet: start one with piko start`
  if (asked === undefined) {
    throw new PikoError(
      'WINDOW_UNKNOWN',
      `job "${job.id}" runs by window; name the window by its start, such as --window ${windows.start.toISOString()} (${known})`,
    )
  }
  const zone = row ? zoneOfJob(row) : zoneOfDefinition(job)
  const start = momentOf(`window of a run of job "${job.id}"`, asked, zone, 'WINDOW_UNKNOWN')
  const details = { jobId: job.id, start: start.toISOString() }
  if (!cursor) throw new PikoError('WINDOW_UNKNOWN', known, { details })
  const generations = timelineOf(job, windows, await jobs.generations(job.id))
  const timeline = generations.around((await ledger.stored(job.id, start, 'after')).windows)
  const window = timeline.startingAt(start)
  if (window && window.end <= cursor) return window
  const before = generations.around((await ledger.stored(job.id, start, 'before')).windows)
  const near = {
    before: windowsNear(before, start, cursor).before,
    after: windowsNear(timeline, start, cursor).after,
  }
  const nearest = nearestText(near, zone)
  throw new PikoError(
    'WINDOW_UNKNOWN',
    `no ended window of job "${job.id}" starts at ${describeMoment(asked)}; ${nearest ? `${nearest}; ` : ''}${known}`,
    { details },
  )
}
