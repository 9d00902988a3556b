import { PikoError } from '../../errors.ts'
import type { Run } from '../../run/run.ts'

/** The error for a caller who is waiting for a run that did not succeed. */
export class RunFailedError extends PikoError {
  readonly run: Run

  constructor(run: Run) {
    const why = run.error ? `: ${run.error.name}: ${run.error.message}` : ''
    const attempts = run.attempt === 1 ? '1 attempt' : `${run.attempt} attempts`
    super('RUN_FAILED', `run ${run.id} of job "${run.jobId}" ${run.state} after ${attempts}${why}`, {
      details: { runId: run.id, jobId: run.jobId, state: run.state, error: run.error },
    })
    this.run = run
  }
}
