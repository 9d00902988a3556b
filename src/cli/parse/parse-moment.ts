import { InvalidArgumentError } from 'commander'
import { readInstant } from '../../time/instant.ts'
import { dateProblem, writtenDate } from '../../time/local-dates.ts'

/**
 * Parses an instant or a date. Returns a date as a string, because its day begins in the job's time zone, which is not known yet.
 *
 * @throws InvalidArgumentError for any other text
 */
export function parseMoment(value: string): Date | string {
  const date = writtenDate(value)
  if (date === undefined) {
    const reading = readInstant(value)
    if ('date' in reading) return reading.date
    throw new InvalidArgumentError(
      `expected ${reading.expected}, or a date of the job's time zone, such as "2026-01-01"`,
    )
  }
  const problem = dateProblem(date)
  if (problem === undefined) return date
  throw new InvalidArgumentError(`expected ${problem}`)
}
