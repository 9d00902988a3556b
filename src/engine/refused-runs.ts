import { isRefusedValue } from '../sql/database-faults.ts'
import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import { type Window } from '../time/window.ts'

/** Stores new runs of a job. @throws a refusal in the form of `refusedRuns` */
export async function clearly<T>(jobId: string, count: number, store: () => Promise<T>): Promise<T> {
  try {
    return await store()
  } catch (thrown) {
    throw refusedRuns(jobId, count, thrown)
  }
}

/** The error that says why a run of a dead node stays unchanged. */
export function notGivenBack(runId: number, refusal: unknown): PikoError {
  return new PikoError(
    'RUN_UNSTORABLE',
    `run ${runId}, whose node is gone, can't be returned to the queue: ${headline(refusal)}; it stays "running" and is retried in a minute, and all others are returned. Check triggers on piko_run, piko_attempt and piko_window`,
    { cause: toError(refusal), details: { runId } },
  )
}

/** The error that says why a window has no run. */
export function refusedWindow(jobId: string, { start }: Window, refusal: unknown, hasFailed = true): PikoError {
  const effect = hasFailed
    ? 'the window has failed, and the others continue. Check triggers on piko_run and piko_window, then run it again with a backfill of the failed windows'
    : 'the window continues to wait and is retried. Check triggers on piko_run and piko_window'
  return new PikoError(
    'RUN_UNSTORABLE',
    `the run of window ${start.toISOString()} of job "${jobId}" can't be stored: ${headline(refusal)}; ${effect}`,
    { cause: toError(refusal), details: { jobId, start: start.toISOString() } },
  )
}

/** The error that says why a backfill does not continue. */
export function refusedBackfill(id: number, jobId: string, refusal: unknown): Error {
  if (isPikoError(refusal)) return refusal
  return new PikoError(
    'RUN_UNSTORABLE',
    `backfill ${id} of job "${jobId}" can't continue: ${headline(refusal)}; all other jobs and backfills continue. Check triggers on piko_run, piko_window and piko_backfill`,
    { cause: toError(refusal), details: { jobId, backfillId: id } },
  )
}

/** The error that says why new runs of a job were not stored. Keeps any other error, and one that is already clear. */
export function refusedRuns(jobId: string, count: number, thrown: unknown): Error {
  if (isPikoError(thrown) || !isRefusedValue(thrown)) return toError(thrown)
  const what = count === 1 ? 'the run' : `none of the ${count} runs`
  return new PikoError(
    'RUN_UNSTORABLE',
    `${what} of job "${jobId}" ${count === 1 ? "can't be" : 'was'} stored: ${headline(thrown)}; check the config, the input and the times, and triggers on piko_run`,
    { cause: toError(thrown), details: { jobId } },
  )
}
