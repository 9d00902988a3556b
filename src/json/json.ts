import { describe, PikoError } from '../errors.ts'

/** The limit of the column. */
export const MAX_CONFIG_BYTES = 60_000
/** The limit for an input or an output; less on a server that accepts only small statements. */
export const MAX_VALUE_BYTES = 1_000_000

/**
 * The JSON text that a row stores for a value; undefined becomes null.
 *
 * @param what names the value in the error
 * @param mostBytes limit for the text in UTF-8
 * @throws PikoError `USAGE` if JSON can't hold the value, or it is too large
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
  // A character takes at most 3 bytes, so most texts need no exact count.
  if (text.length * 3 > mostBytes && Buffer.byteLength(text) > mostBytes) {
    throw new PikoError(
      'USAGE',
      `${what} is ${Buffer.byteLength(text)} bytes of JSON; at most ${mostBytes} are stored: keep the data elsewhere and hand over where`,
    )
  }
  return text
}

/**
 * The value of a stored text. Returns text that is not JSON as it is: people may have typed it into the row, and the rows around it must
 * stay readable.
 */
export function fromJson(text: string | null): unknown {
  if (text === null) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
