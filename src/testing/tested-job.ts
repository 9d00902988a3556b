import { describe, PikoError } from '../errors.ts'
import { isObject } from '../errors-read.ts'
import { isJobDefinition } from '../job/define-job.ts'
import { carriesJobs, jobsOf } from '../job/jobs-of.ts'
import type { JobDefinition } from '../job/spec.ts'

/**
 * Finds the job that a test names: by its definition, or by a class or an instance with `@job`.
 *
 * @param call the name of the call, for errors
 * @param id the id of the job, if the class has several jobs
 * @throws PikoError `USAGE` that lists the jobs of the class; `JOB_INVALID`
 */
export function testedJob(call: string, given: unknown, id: string | undefined): JobDefinition {
  const jobs = isJobDefinition(given) ? [given] : carriesJobs(given) ? jobsOf(given) : []
  const [first] = jobs
  if (!first) {
    const isSpec = isObject(given) && 'id' in given
    throw new PikoError(
      'USAGE',
      `${call} got ${describe(given)}; expected a job that defineJob returned, or a class or an instance with @job` +
        (isSpec ? ': a spec has no handler' : ''),
    )
  }
  const found = id === undefined && jobs.length === 1 ? first : jobs.find((job) => job.id === id)
  if (found) return found
  const ids = jobs.map((job) => describe(job.id)).join(', ')
  throw new PikoError(
    'USAGE',
    `${call}: ${id === undefined ? 'the class has several jobs' : `id is ${describe(id)}`}; expected the option id with one of ${ids}`,
    { details: { option: 'id', value: id, expected: jobs.map((job) => job.id) } },
  )
}
