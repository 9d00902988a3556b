import { type ErrorCode, PikoError } from '../errors.ts'
import { jsonCopy, pathText } from './json-copy.ts'
import { smallCopy } from './small-copy.ts'

/** What is known about a value of a job that is stored as JSON. */
export interface Storing {
  readonly jobId: string
  /** The name of the value for errors, such as `input`. */
  readonly what: string
  /** The maximum size of the JSON text, in bytes of UTF-8. */
  readonly maxBytes: number
  /** The code of the error. Default `'USAGE'`. */
  readonly code?: ErrorCode
}

/**
 * Returns a value as the database will return it; undefined stays undefined.
 *
 * @throws PikoError that names every value that JSON would lose or replace, or says that the value is too large
 */
export function storable(value: unknown, storing: Storing): unknown {
  if (value === undefined) return undefined
  const small = smallCopy(value, storing.maxBytes)
  if (small !== undefined) return small
  const copy = jsonCopy(value, storing.maxBytes)
  if (copy.problems.length > 0)
    throw unstorable(
      storing,
      copy.problems.map(({ path, text }) => `${pathText(storing.what, path)} ${text}`),
    )
  assertFits(copy.value, storing)
  return copy.value
}

/**
 * Returns a handler's output as the database will return it.
 *
 * @throws PikoError `USAGE`
 */
export function storableOutput(value: unknown, jobId: string, maxBytes: number): unknown {
  return storable(value, { jobId, what: 'output', maxBytes })
}

export function unstorable({ jobId, what, code = 'USAGE' }: Storing, problems: readonly string[]): PikoError {
  return new PikoError(code, `the ${what} of job "${jobId}" can't be stored as JSON: ${problems.join('; ')}`, {
    details: { jobId, problems },
  })
}

/** Checks the size of a value's JSON. @throws PikoError if the value's JSON is too large */
export function assertFits(value: unknown, { jobId, what, maxBytes, code = 'USAGE' }: Storing): void {
  const bytes = bytesOf(value, maxBytes)
  if (bytes <= maxBytes) return
  throw new PikoError(
    code,
    `the ${what} of job "${jobId}" is ${bytes} bytes of JSON; at most ${maxBytes} are stored: store the data elsewhere and pass its location`,
    { details: { jobId, bytes, maxBytes } },
  )
}

/**
 * Returns the size of the value's JSON in bytes. It is exact if it may be over the limit. A character takes at most 3 bytes, so most
 * strings need no exact count.
 */
function bytesOf(value: unknown, maxBytes: number): number {
  const text = JSON.stringify(value)
  return text.length * 3 > maxBytes ? Buffer.byteLength(text) : text.length
}
