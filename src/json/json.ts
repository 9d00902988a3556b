import { describe, PikoError } from '../errors.ts'

/** What the column holds. */
export const MAX_CONFIG_BYTES = 60_000
/** Of an input or an output; less on a server that takes only small statements. */
export const MAX_VALUE_BYTES = 1_000_000

/**
 * JSON text of a value that a row keeps; undefined becomes null.
 *
 * @param what names the value in the error
 * @param mostBytes of the text in UTF-8
 * @throws PikoError `USAGE` for a value that JSON can't hold, or one that is too large
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
  // A character takes 3 bytes at most: most texts need no count.
  if (text.length * 3 > mostBytes && Buffer.byteLength(text) > mostBytes) {
    throw new PikoError(
      'USAGE',
      `${what} is ${Buffer.byteLength(text)} bytes of JSON; at most ${mostBytes} are stored: keep the data elsewhere and hand over where`,
    )
  }
  return text
}

/**
 * The value of a stored text. One that people wrote into a row by hand and that is no JSON is returned as it is: it must
 * not keep the rows around it from being read.
 */
export function fromJson(text: string | null): unknown {
  if (text === null) return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
