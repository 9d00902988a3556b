import { isRefusedValue } from '../database-faults.ts'
import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'

/** Why new runs of a job were not stored. What is no refusal, or says enough itself, stays as it is. */
export function refusedRuns(jobId: string, count: number, thrown: unknown): Error {
  if (isPikoError(thrown) || !isRefusedValue(thrown)) return toError(thrown)
  const what = count === 1 ? 'the run' : `none of the ${count} runs`
  return new PikoError(
    'RUN_UNSTORABLE',
    `${what} of job "${jobId}" ${count === 1 ? "can't be" : 'was'} stored: ${headline(thrown)}; check the config, the input and the times, and triggers on piko_run`,
    { cause: toError(thrown), details: { jobId } },
  )
}
