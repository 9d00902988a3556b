import { isOneOf, isWhole } from '../../errors-read.ts'
import { describe } from '../../errors.ts'
import { isZone } from '../../time/cron.ts'
import { describeInstant, readInstant } from '../../time/instant.ts'
import { describeMoment, readMoment, writtenDate } from '../../time/local-dates.ts'
import type { AnyJobSpec, JobPolicy } from '../spec.ts'
import { SpecFaults } from '../spec-faults.ts'

/** Reads the options of a spec one by one. For a wrong option, stores a fault and returns a valid value instead. */
export class PolicyChecks {
  readonly spec: AnyJobSpec
  readonly faults: SpecFaults

  constructor(spec: AnyJobSpec) {
    this.spec = spec
    this.faults = new SpecFaults(spec.id)
  }

  keyFunction(option: string, value: unknown): JobPolicy['rateKey'] {
    if (value === undefined || typeof value === 'function') return value as JobPolicy['rateKey']
    this.faults.add(`${option} is ${describe(value)}; expected a function (run) => string | undefined`)
    return undefined
  }

  optionalInstant(option: 'start' | 'end'): Date | undefined {
    const value = this.spec[option]
    return value === undefined ? undefined : this.instant(option, value)
  }

  instant(option: string, value: unknown): Date | undefined {
    const reading = this.faults.gather(() => readInstant(value), undefined)
    if (reading && 'date' in reading) return reading.date
    if (reading) this.faults.add(`${option} is ${describeInstant(value)}; expected ${reading.expected}`)
    return undefined
  }

  /**
   * Reads an instant, or a date in the job's time zone. A wrong time zone is not reported here, because the check of `timezone` reports it.
   */
  moment(option: string, value: unknown): Date | undefined {
    if (writtenDate(value) === undefined) return this.instant(option, value)
    const { timezone = 'UTC' } = this.spec
    const reading = readMoment(value, isZone(timezone) ? timezone : 'UTC')
    if ('date' in reading) return reading.date
    this.faults.add(`${option} is ${describeMoment(value)}; expected ${reading.expected}`)
    return undefined
  }

  integer(option: string, value: unknown): number | undefined {
    if (value === undefined) return undefined
    if (isWhole(value)) return value
    this.faults.add(`${option} is ${describe(value)}; expected a whole number`)
    return undefined
  }

  atLeastOne(option: string, value: unknown): number | undefined {
    const number = this.integer(option, value)
    if (number === undefined || number >= 1) return number
    this.faults.add(`${option} is ${number}; expected 1 or more`)
    return undefined
  }

  oneOf(option: string, value: unknown, allowed: readonly string[]): void {
    if (value !== undefined && !isOneOf(allowed, value)) {
      this.faults.add(`${option} is ${describe(value)}; expected one of ${allowed.join(', ')}`)
    }
  }

  hasNoEffect(option: keyof AnyJobSpec, without: string): void {
    this.faults.add(`${option} ${describe(this.spec[option])} has no effect without ${without}`)
  }
}
