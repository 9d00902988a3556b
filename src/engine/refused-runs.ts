import { isRefusedValue } from '../sql/database-faults.ts'
import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import type { NotGivenBack } from '../store/runs/give-back.ts'
import type { Window } from '../time/window.ts'

/**
 * Stores new runs of a job.
 *
 * @throws PikoError `RUN_UNSTORABLE` if the database refuses the runs, otherwise the original error; see `refusedRuns`
 */
export async function clearly<T>(jobId: string, count: number, store: () => Promise<T>): Promise<T> {
  try {
    return await store()
  } catch (thrown) {
    throw refusedRuns(jobId, count, thrown)
  }
}

/** The maximum number of runs that a message names. */
const MAX_NAMED = 10

/** Returns the error that explains why runs of dead nodes can't return to the queue; undefined if there are none. */
export function notGivenBack(refused: readonly NotGivenBack[]): PikoError | undefined {
  const [first] = refused
  if (!first) return undefined
  const runIds = refused.map(({ runId }) => runId)
  const named = `${runIds.slice(0, MAX_NAMED).join(', ')}${runIds.length > MAX_NAMED ? ' …' : ''}`
  const [what, effect] =
    runIds.length === 1
      ? [`run ${named}, whose node is gone,`, 'it stays "running" and is']
      : [`${runIds.length} runs, whose nodes are gone (${named}),`, 'they stay "running" and are']
  return new PikoError(
    'RUN_UNSTORABLE',
    `${what} can't be returned to the queue: ${headline(first.refusal)}; ${effect} retried in a minute, and all others are returned. Check triggers on piko_run, piko_attempt and piko_window`,
    { cause: toError(first.refusal), details: { runId: first.runId, runIds } },
  )
}

/** Returns the error that explains why a window has no run. */
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

/** Returns the error that explains why a backfill does not continue. */
export function refusedBackfill(id: number, jobId: string, refusal: unknown): Error {
  if (isPikoError(refusal)) return refusal
  return new PikoError(
    'RUN_UNSTORABLE',
    `backfill ${id} of job "${jobId}" can't continue: ${headline(refusal)}; all other jobs and backfills continue. Check triggers on piko_run, piko_window and piko_backfill`,
    { cause: toError(refusal), details: { jobId, backfillId: id } },
  )
}

/** Returns the error that explains why a batch does not end. */
export function refusedBatch(id: number, jobId: string, refusal: unknown): Error {
  if (isPikoError(refusal)) return refusal
  return new PikoError(
    'RUN_UNSTORABLE',
    `batch ${id} of job "${jobId}" can't end: ${headline(refusal)}; all other jobs and batches continue. Check triggers on piko_run, piko_batch and piko_batch_slice`,
    { cause: toError(refusal), details: { jobId, batchId: id } },
  )
}

/**
 * Returns the error that explains why new runs of a job were not stored. Other errors, and those that already explain it, are returned
 * unchanged.
 */
export function refusedRuns(jobId: string, count: number, thrown: unknown): Error {
  if (isPikoError(thrown) || !isRefusedValue(thrown)) return toError(thrown)
  const what = count === 1 ? 'the run' : `none of the ${count} runs`
  return new PikoError(
    'RUN_UNSTORABLE',
    `${what} of job "${jobId}" ${count === 1 ? "can't be" : 'was'} stored: ${headline(thrown)}; check the config, the input and the times, and triggers on piko_run`,
    { cause: toError(thrown), details: { jobId } },
  )
}
