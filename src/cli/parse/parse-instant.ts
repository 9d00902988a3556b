import { InvalidArgumentError } from 'commander'
import { readInstant } from '../../time/instant.ts'

/**
 * Parses an instant for an option.
 *
 * @throws InvalidArgumentError if {@link readInstant} refuses the text
 */
export function parseInstant(value: string): Date {
  const reading = readInstant(value)
  if ('date' in reading) return reading.date
  throw new InvalidArgumentError(`expected ${reading.expected}`)
}
