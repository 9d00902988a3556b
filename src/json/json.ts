import { describe, PikoError } from '../errors.ts'

/** The maximum size of a config's JSON text. Its column in MySQL has space for slightly more. */
export const MAX_CONFIG_BYTES = 60_000
/** The maximum size of the JSON text of an input or an output. The store accepts less if its server accepts only small statements. */
export const MAX_VALUE_BYTES = 1_000_000

/**
 * Returns the JSON text of a value to store; null for undefined.
 *
 * @param what the name of the value for the error
 * @param mostBytes the maximum size of the text, in bytes of UTF-8
 * @throws PikoError `USAGE` if JSON can't represent the value or the text is too large
 */
export function toJson(value: unknown, what: string, mostBytes = Infinity): string | null {
  if (value === undefined) return null
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new PikoError('USAGE', `${what} can't be stored as JSON: ${describe(value)}`, { cause })
  }
  if (text === undefined) throw new PikoError('USAGE', `${what} can't be stored as JSON: ${describe(value)}`)
  // A character takes at most 3 bytes, so most strings need no exact count.
  if (text.length * 3 > mostBytes && Buffer.byteLength(text) > mostBytes) {
    throw new PikoError(
      'USAGE',
      `${what} is ${Buffer.byteLength(text)} bytes of JSON; at most ${mostBytes} are stored: store the data elsewhere and pass its location`,
    )
  }
  return text
}

/** Parses a stored string. If it is not JSON, returns it unchanged: a person may have written it, and other rows must still be readable. */
export function fromJson(text: string | null): unknown {
  if (text === null) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
