import { PikoError } from '../errors.ts'
import { problemsText } from '../options.ts'

/** Creates the error for a wrong use of a service, such as a wrong option or a start at the wrong time. */
export function serviceInvalid(
  service: string,
  problem: string | readonly string[],
  details: Record<string, unknown> = {},
): PikoError {
  const problems = typeof problem === 'string' ? [problem] : problem
  return new PikoError('SERVICE_INVALID', problemsText(`service ${JSON.stringify(service)}`, problems), {
    details: { service, ...(problems.length > 1 && { problems }), ...details },
  })
}
