import { isObject } from '../../errors-read.ts'
import { describe, PikoError } from '../../errors.ts'

/** The headers of an answer. Numbers and booleans are sent as strings, and undefined ones are left out. */
export type AnswerHeaders = Readonly<Record<string, string | number | boolean | undefined>>

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
 * @param headers strings by name; numbers and booleans become strings
 * @throws PikoError `USAGE` if the status or a header is wrong; if a handler does not catch it, only its own reply fails, with status 500
 * @example return answer(404, { problem: 'no such user' })
 */
export function answer(status: number, body?: unknown, headers?: AnswerHeaders): Answer {
  if (!Number.isInteger(status) || status < 200 || status > 599)
    throw new PikoError('USAGE', `the status of an answer is ${status}; expected a whole number from 200 to 599`)
  return new Answer(status, body, headers === undefined || headers === null ? undefined : textsOf(headers))
}

/** Converts the result of `onError` to an answer. It may be a plain `{ status, body, headers }`. */
export function answerFrom(result: unknown): unknown {
  if (result instanceof Answer || !isObject(result) || !('status' in result) || typeof result.status !== 'number')
    return result
  const headers = 'headers' in result ? (result.headers as AnswerHeaders) : undefined
  return answer(result.status, 'body' in result ? result.body : undefined, headers)
}

/** Checks and converts headers here, because the caller would refuse wrong ones by closing the whole connection. */
function textsOf(headers: unknown): Readonly<Record<string, string>> {
  // `Headers`, a Map and a list do not hold the headers as properties.
  if (typeof headers !== 'object' || headers === null || Symbol.iterator in headers)
    throw new PikoError(
      'USAGE',
      `the headers of an answer are ${describe(headers)}; expected an object of strings, such as { 'retry-after': '5' }`,
    )
  const given = Object.entries(headers).filter(([, value]) => value !== undefined)
  const problems = given
    .filter(([, value]) => !isSimple(value))
    .map(([name, value]) => `the header ${describe(name)} of an answer is ${describe(value)}; expected a string`)
  if (problems.length > 0) throw new PikoError('USAGE', problems.join('; '), { details: { problems } })
  return Object.fromEntries(given.map(([name, value]) => [name, String(value)]))
}

function isSimple(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)
}
