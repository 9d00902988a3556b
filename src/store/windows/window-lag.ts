import { safely } from '../../errors-read.ts'
import type { WindowState } from '../../ledger/window-state.ts'
import type { Database } from '../connection/database.ts'
import { optionalDate } from '../runs/run-row.ts'
import { exactId } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'

/** How far the windows of a job have progressed. */
export interface OldestOpen {
  readonly jobId: string
  /** The start of the oldest window that has not succeeded and was not skipped. */
  readonly oldestOpen: Date | undefined
  /** The instant up to which windows are planned. */
  readonly cursor: Date | undefined
}

/** The states of windows that have not succeeded and were not skipped. */
export const OPEN_WINDOWS = ['pending', 'waiting', 'failed', 'cancelled', 'stale'] as const satisfies WindowState[]

/**
 * Returns the oldest open window of each job with windows, by job id. Needs one read of the index (job_id, state, start_at) for each job
 * and state.
 *
 * @param which the ids of jobs, or the maximum number of jobs to read
 */
export async function oldestOpenWindows(
  { db, dialect, broken }: Database,
  which: readonly string[] | number,
): Promise<OldestOpen[]> {
  const jobs = db
    .selectFrom('piko_job')
    .select(['piko_job.id', 'piko_job.window_cursor'])
    .select((eb) =>
      OPEN_WINDOWS.map((state) =>
        eb
          .selectFrom('piko_window')
          .select('piko_window.start_at')
          .whereRef('piko_window.job_id', '=', 'piko_job.id')
          .where('piko_window.state', '=', state)
          .orderBy('piko_window.start_at')
          .limit(1)
          .as(state),
      ),
    )
    .where('piko_job.windows', 'is not', null)
    .orderBy('piko_job.id')
  const rows = await (
    typeof which === 'number' ? jobs.limit(which) : jobs.where('piko_job.id', 'in', which.map(exactId))
  ).execute()
  return mapSound(dialect, 'piko_job', rows, lagOf, broken.report)

  function lagOf(row: (typeof rows)[number]): OldestOpen {
    // A start that can't be read, because a person edited it, does not count as the oldest one.
    const starts = OPEN_WINDOWS.map((state) => row[state]).flatMap((start) => {
      const date = start === null ? undefined : safely(() => dialect.date(start), undefined)
      return date ? [date] : []
    })
    const oldest = Math.min(...starts.map((start) => start.getTime()))
    return {
      jobId: row.id,
      oldestOpen: starts.length > 0 ? new Date(oldest) : undefined,
      cursor: optionalDate(row.window_cursor, dialect),
    }
  }
}
