import { InvalidArgumentError } from 'commander'
import { readInstant } from '../../time/instant.ts'

/** @throws InvalidArgumentError for what {@link readInstant} refuses */
export function parseInstant(value: string): Date {
  const reading = readInstant(value)
  if ('date' in reading) return reading.date
  throw new InvalidArgumentError(`expected ${reading.expected}`)
}
