import { isObject } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'

/** A result of a handler with its own status and headers, instead of a plain value. */
export class Answer {
  readonly status: number
  readonly body: unknown
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(status: number, body: unknown, headers?: Readonly<Record<string, string>>) {
    this.status = status
    this.body = body
    this.headers = headers
  }
}

/**
 * Creates an answer with its own status.
 *
 * @param status as in HTTP: from 200 to 599; 400 or more is an error for the caller
 * @example return answer(404, { problem: 'no such user' })
 */
export function answer(status: number, body?: unknown, headers?: Readonly<Record<string, string>>): Answer {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new PikoError('USAGE', `the status of an answer is ${status}; expected a whole number from 200 to 599`)
  return new Answer(status, body, headers)
}

/** Converts the result of `onError` to an answer. It may be a plain `{ status, body, headers }`. */
export function answerFrom(result: unknown): unknown {
  if (result instanceof Answer || !isObject(result) || !('status' in result) || typeof result.status !== 'number')
    return result
  const headers = 'headers' in result ? (result.headers as Readonly<Record<string, string>>) : undefined
  return answer(result.status, 'body' in result ? result.body : undefined, headers)
}
