import { timelineOf } from '../engine/planning/plan-job.ts'
import { describe, PikoError } from '../errors.ts'
import type { JobDefinition } from '../job/spec.ts'
import type { Store } from '../store/store.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import type { Window } from '../time/window.ts'

/**
 * The window that starts at the instant a request names.
 *
 * @returns undefined for a job without windows
 * @throws PikoError `WINDOW_UNKNOWN`
 */
export async function windowOf(
  { jobs, windows: ledger }: Pick<Store, 'jobs' | 'windows'>,
  job: JobDefinition,
  start: InstantInput | undefined,
): Promise<Window | undefined> {
  const { windows, schedule } = job.policy
  if (!windows || !schedule) {
    if (start === undefined) return undefined
    throw new PikoError('WINDOW_UNKNOWN', `job "${job.id}" has no windows; leave out the window ${describe(start)}`)
  }
  const cursor = (await jobs.find(job.id))?.windowCursor
  // A planning node writes the cursor when it starts; `piko run` does not.
  const known = cursor
    ? `the ledger knows those from ${windows.start.toISOString()} to ${cursor.toISOString()}`
    : `no node has planned job "${job.id}" yet: start one with piko start`
  if (start === undefined) {
    throw new PikoError('WINDOW_UNKNOWN', `job "${job.id}" runs by window; name the window by its start (${known})`)
  }
  const date = instantOf(`window of a run of job "${job.id}"`, start, 'WINDOW_UNKNOWN')
  if (!cursor) throw new PikoError('WINDOW_UNKNOWN', known, { details: { jobId: job.id, start: String(start) } })
  const stored = await ledger.stored(job.id, date, 'after')
  const timeline = timelineOf(job, windows, await jobs.generations(job.id)).around(stored.windows)
  const window = timeline.startingAt(date)
  if (!window || window.end > cursor) {
    throw new PikoError(
      'WINDOW_UNKNOWN',
      `no window of job "${job.id}" that is over starts at ${describe(start)}; ${known}`,
      {
        details: { jobId: job.id, start: String(start) },
      },
    )
  }
  return window
}
