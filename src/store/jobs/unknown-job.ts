import { PikoError } from '../../errors.ts'

/** `JOB_UNKNOWN` for a job that no node has started with. */
export function unknownJob(jobId: string): PikoError {
  return new PikoError('JOB_UNKNOWN', `the database does not know job "${jobId}": start a node with it first`, {
    details: { jobId },
  })
}
