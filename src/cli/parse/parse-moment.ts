import { InvalidArgumentError } from 'commander'
import { readInstant } from '../../time/instant.ts'
import { dateProblem, writtenDate } from '../../time/local-dates.ts'

/**
 * An instant, or a date as it was written: the zone of the job, which the command line does not know yet, decides when it begins.
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
