import { isObject, propertyOf } from '../errors-read.ts'
import { describe, PikoError } from '../errors.ts'

/**
 * Returns the id of a job. The job is given as its definition, its spec or its id.
 *
 * @param call the call as users write it, such as `app.run`
 * @throws PikoError `USAGE`
 */
export function jobIdOf(call: string, job: unknown): string {
  const id = isObject(job) ? propertyOf(job, 'id') : job
  if (typeof id === 'string') return id
  throw new PikoError(
    'USAGE',
    `${call} got ${describe(job)} as its job; expected the id of a job, or what defineJob or jobSpec returned`,
  )
}
