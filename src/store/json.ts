import { describe, PikoError } from '../errors.ts'

/**
 * JSON text of a value that a row keeps; undefined becomes null.
 *
 * @param what names the value in the error
 * @throws PikoError `USAGE` for a value that JSON can't hold
 */
export function toJson(value: unknown, what: string): string | null {
  if (value === undefined) return null
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new PikoError('USAGE', `${what} can't be stored as JSON: ${describe(value)}`, { cause })
  }
  if (text === undefined) throw new PikoError('USAGE', `${what} can't be stored as JSON: ${describe(value)}`)
  return text
}

export function fromJson(text: string | null): unknown {
  return text === null ? undefined : (JSON.parse(text) as unknown)
}
