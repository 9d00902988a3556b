import { InvalidArgumentError } from 'commander'
import { messageOf } from '../../errors-read.ts'
import { duplicateKeys } from './duplicate-keys.ts'

/** A reviver as modern engines call it. Since Node 21 they pass a context with the source text of a number, string or literal. */
type Reviver = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown

/**
 * Parses JSON.
 *
 * @throws InvalidArgumentError for invalid JSON, for numbers that JavaScript would change, and for keys that occur twice in an object
 */
export function parseJson(text: string): unknown {
  const changed: string[] = []
  const reviver: Reviver = (_key, value, context) => {
    if (typeof value === 'number' && context?.source !== undefined && !isKept(context.source, value))
      changed.push(context.source)
    return value
  }
  let value: unknown
  try {
    value = JSON.parse(text, reviver) as unknown
  } catch (error) {
    throw new InvalidArgumentError(`expected JSON, such as '{"shop":"us"}': ${messageOf(error)}`)
  }
  const twice = duplicateKeys(text)
  if (twice.length > 0)
    throw new InvalidArgumentError(`some keys occur twice in one object: ${twice.join(', ')}; keep one of each`)
  if (changed.length === 0) return value
  const examples = changed.map((source) => `${source} would become ${Number(source)}`).join('; ')
  throw new InvalidArgumentError(`some numbers would lose digits: ${examples}; write them as strings, in quotes`)
}

/** Enough digits to distinguish any two numbers of JavaScript. */
const MAX_DIGITS = 17

/** Whether JavaScript keeps the exact value of a number's text. */
function isKept(source: string, value: number): boolean {
  const written = digitsOf(source)
  if (written === '') return true
  if (!Number.isFinite(value) || written.length > MAX_DIGITS) return false
  return digitsOf(value.toPrecision(written.length)) === written
}

/** Returns the digits of a number, without leading and trailing zeros. */
function digitsOf(source: string): string {
  const [mantissa = ''] = source.split(/e/i)
  return mantissa.replaceAll(/[^0-9]/g, '').replaceAll(/^0+|0+$/g, '')
}
