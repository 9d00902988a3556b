import { PikoError } from '../../errors.ts'

/** Creates `JOB_UNKNOWN`, for a job with which no node has ever started. */
export function unknownJob(jobId: string): PikoError {
  return new PikoError('JOB_UNKNOWN', `the database does not know job "${jobId}": start a node with it first`, {
    details: { jobId },
  })
}
