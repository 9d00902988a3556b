import { PikoError } from '../errors.ts'

/** A use of a service that can't work: a wrong option, a start at the wrong time. */
export function serviceInvalid(service: string, problem: string, details: Record<string, unknown> = {}): PikoError {
  return new PikoError('SERVICE_INVALID', `service ${JSON.stringify(service)}: ${problem}`, {
    details: { service, ...details },
  })
}
