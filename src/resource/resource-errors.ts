import { messageOf } from '../errors-read.ts'
import { PikoError, toError } from '../errors.ts'

/** Returns the error of a resource that failed. @param what the text after the resource's name, such as `could not be opened` */
export function failed(name: string, what: string, thrown: unknown): PikoError {
  const cause = typeof thrown === 'string' ? undefined : toError(thrown)
  const why = cause ? messageOf(cause) : String(thrown)
  return new PikoError('RESOURCE_FAILED', `resource ${name} ${what}: ${why}`, {
    ...(cause && { cause }),
    details: { resource: name },
  })
}

/** Throws if there are failures. @throws PikoError the only failure, or one error that names all of them */
export function throwAll(failures: readonly Error[]): void {
  const [first] = failures
  if (!first) return
  if (failures.length === 1) throw first
  const messages = failures.map(({ message }) => message).join('; ')
  throw new PikoError('RESOURCE_FAILED', messages, { cause: new AggregateError(failures, messages) })
}

export function stopped(): PikoError {
  return new PikoError('STOPPED', 'the resource pool is closed: the process is stopping')
}

/** Thrown inside Piko if a resource can't be used now. Runs wait until it can, so no run fails with this error. */
export class ResourceLost extends Error {
  override readonly name = 'ResourceLost'

  constructor(resource: string, cause: Error) {
    super(`resource ${resource} is lost: ${messageOf(cause)}`, { cause })
  }
}
