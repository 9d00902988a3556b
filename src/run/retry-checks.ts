import { aFunction, flag, oneOf, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../options.ts'
import { MAX_STORED_MS } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import type { RetrySpec } from './retry.ts'

export const RETRY_CHECKS: OptionChecks<RetrySpec> = {
  limit: wholeNumber(0),
  backoff: oneOf('fixed', 'exponential'),
  base: aDuration(0, MAX_STORED_MS),
  max: aDuration(0, MAX_STORED_MS),
  jitter: flag,
  retryIf: aFunction,
}

/** Creates the check of a `retry` option. `checks` has a check for each of its fields. */
export function aRetryOf<T extends RetrySpec>(checks: OptionChecks<T>): OptionCheck {
  return (value) => {
    const { problems } = readOptions(value, checks, '{ limit: 3 }', ['limit'])
    return problems.length === 0 ? undefined : `is wrong: ${problems.join('; ')}`
  }
}

export const aRetry = aRetryOf(RETRY_CHECKS)
