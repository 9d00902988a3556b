import { chainOf, propertyOf, safely } from '../errors-read.ts'
import { cappedDurationMs, type Duration, MAX_STORED_MS } from '../time/duration.ts'
import { httpDate } from '../time/http-date.ts'
import { type InstantInput, instantOf, LAST_INSTANT_MS } from '../time/instant.ts'

/** The mark is a symbol, because `instanceof` fails if a job's module has loaded another copy of this package. */
const NO_RETRY = Symbol.for('piko.noRetry')
const RETRY_AT = Symbol.for('piko.retryAt')

/**
 * Thrown from a handler to fail the run immediately, because another attempt can't succeed. The job's `retry` has no effect then.
 *
 * @example
 * if (response.status === 404) throw new NoRetryError(`order ${id} does not exist`)
 */
export class NoRetryError extends Error {
  readonly [NO_RETRY] = true

  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'NoRetryError'
  }
}

/** When the next attempt may begin: at an instant, or after this delay from the end of the previous attempt. */
export type RetryTiming = { readonly at: Date } | { readonly afterMs: number }

/**
 * Thrown from a handler that knows when to try again. The time replaces the back-off and its maximum. The attempt still counts toward the
 * limit of the job's `retry`. If the instant has already passed, the back-off applies.
 *
 * @example
 * if (response.status === 429) throw RetryLaterError.fromHeader(response.headers.get('retry-after'), 'rate limited')
 */
export class RetryLaterError extends Error {
  /** The requested time. Undefined: the job's back-off is used. */
  readonly [RETRY_AT]: RetryTiming | undefined

  /** @throws PikoError `USAGE` for an invalid instant, `DURATION_INVALID` */
  constructor(
    message: string,
    time: { readonly at: InstantInput } | { readonly after: Duration } | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'RetryLaterError'
    this[RETRY_AT] = time && timingOf(time)
  }

  /**
   * Reads an HTTP `Retry-After`: whole seconds, or a date in one of HTTP's three forms (RFC 9110, section 10.2.3). The next attempt begins
   * after `otherwise` if the header is missing or invalid, or if its date has passed.
   *
   * @param otherwise default: the back-off of the job
   */
  static fromHeader(header: string | null | undefined, message: string, otherwise?: Duration): RetryLaterError {
    const text = typeof header === 'string' ? header.replace(/^[ \t]+|[ \t]+$/g, '') : ''
    if (DELAY_SECONDS.test(text)) return new RetryLaterError(message, { after: `${Number(text)}s` })
    const now = new Date()
    const at = httpDate(text, now)
    if (at && at > now) return new RetryLaterError(message, { at })
    return new RetryLaterError(message, otherwise === undefined ? undefined : { after: otherwise })
  }
}

/** Whether an error, or one of its causes, says that another attempt can't succeed. */
export function forbidsRetry(error: unknown): boolean {
  return chainOf(error).some((link) => propertyOf(link, NO_RETRY) === true)
}

/** Marks an error of Piko's own so that nothing retries it. */
export function withoutRetry<E extends Error>(error: E): E {
  return Object.defineProperty(error, NO_RETRY, { value: true })
}

/** Returns the time that an error, or one of its causes, sets for the next attempt. */
export function retryTimingOf(error: unknown): RetryTiming | undefined {
  for (const link of chainOf(error)) {
    const timing = timingIn(propertyOf(link, RETRY_AT))
    if (timing) return timing
  }
  return undefined
}

/**
 * Reads the time from an error, limited to what the database can store. Other code, or another version of this package, may have set it.
 */
function timingIn(mark: unknown): RetryTiming | undefined {
  const afterMs = propertyOf(mark, 'afterMs')
  if (typeof afterMs === 'number' && afterMs >= 0) return { afterMs: Math.min(MAX_STORED_MS, Math.round(afterMs)) }
  const ms = safely(() => Date.prototype.getTime.call(propertyOf(mark, 'at')), NaN)
  return Number.isNaN(ms) ? undefined : { at: new Date(Math.max(0, Math.min(ms, LAST_INSTANT_MS))) }
}

/** A longer number is not a delay: some servers send the seconds since 1970. */
const DELAY_SECONDS = /^\d{1,9}$/

function timingOf(time: { readonly at: InstantInput } | { readonly after: Duration }): RetryTiming | undefined {
  if (!('at' in time)) return { afterMs: cappedDurationMs(time.after, 'after of a RetryLaterError', MAX_STORED_MS) }
  // A server may send an instant that no database can store. It is limited, because refusing it would replace the handler's error with
  // another one.
  const isTooLate = time.at instanceof Date && time.at.getTime() > LAST_INSTANT_MS
  const at = isTooLate ? new Date(LAST_INSTANT_MS) : instantOf('at of a RetryLaterError', time.at)
  return at > new Date() ? { at } : undefined
}
