import { aFunction, flag, oneOf, type OptionChecks, wholeNumber } from '../options.ts'
import { MAX_STORED_MS } from '../time/duration.ts'
import { aDuration } from '../time/duration-check.ts'
import type { RetrySpec } from './retry.ts'

/** The checks of a `retry` option, whatever is tried again. */
export const RETRY_CHECKS: OptionChecks<RetrySpec> = {
  limit: wholeNumber(0),
  backoff: oneOf('fixed', 'exponential'),
  base: aDuration(0, MAX_STORED_MS),
  max: aDuration(0, MAX_STORED_MS),
  jitter: flag,
  retryIf: aFunction,
}
