import { PikoError } from './client-error.ts'

/**
 * Refuses options that a call does not have: a misspelt one would be ignored.
 *
 * @throws PikoError `USAGE` that names all of them
 */
export function assertKnown(call: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null)
    throw new PikoError('USAGE', `${call}: the options are ${String(given)}; expected an object`)
  const unknown = Object.keys(given).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const names = unknown.map((name) => JSON.stringify(name)).join(', ')
  const options = unknown.length === 1 ? 'unknown option' : 'unknown options'
  throw new PikoError('USAGE', `${call}: ${options} ${names}; the options are ${known.join(', ')}`)
}
