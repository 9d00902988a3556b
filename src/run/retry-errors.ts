import { chainOf, propertyOf, safely } from '../errors-read.ts'
import { cappedDurationMs, type Duration, MAX_STORED_MS } from '../time/duration.ts'
import { httpDate } from '../time/http-date.ts'
import { type InstantInput, instantOf, LAST_INSTANT_MS } from '../time/instant.ts'

/** Known by a mark and not by its class: a job's module may have another copy of this package. */
const NO_RETRY = Symbol.for('piko.noRetry')
const RETRY_AT = Symbol.for('piko.retryAt')

/**
 * Thrown by a handler whose failure another attempt can't mend: the run fails at once, whatever its job's `retry` says.
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

/** When the next attempt may begin: at an instant, or this time after the end of the one before. */
export type RetryTiming = { readonly at: Date } | { readonly afterMs: number }

/**
 * Thrown by a handler that knows when trying again makes sense. The time replaces the back-off and its cap; the attempt
 * counts, so the retries of the job's `retry` still end. An instant that has passed says nothing: the back-off applies.
 *
 * @example
 * if (response.status === 429) throw RetryLaterError.fromHeader(response.headers.get('retry-after'), 'rate limited')
 */
export class RetryLaterError extends Error {
  /** Undefined: the back-off of the job applies. */
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
   * From an HTTP `Retry-After`: whole seconds, or a date in one of HTTP's three forms (RFC 9110, section 10.2.3). Without one, with
   * anything else, and with a date that has passed, the next attempt begins after `otherwise`.
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

/** Whether an error, or one that caused it, says that another attempt can't help. */
export function forbidsRetry(error: unknown): boolean {
  return chainOf(error).some((link) => propertyOf(link, NO_RETRY) === true)
}

/** When an error, or one that caused it, wants the next attempt. */
export function retryTimingOf(error: unknown): RetryTiming | undefined {
  for (const link of chainOf(error)) {
    const timing = timingIn(propertyOf(link, RETRY_AT))
    if (timing) return timing
  }
  return undefined
}

/** The mark may be of another version of this package, or made by hand: only what the database can keep is taken. */
function timingIn(mark: unknown): RetryTiming | undefined {
  const afterMs = propertyOf(mark, 'afterMs')
  if (typeof afterMs === 'number' && afterMs >= 0) return { afterMs: Math.min(MAX_STORED_MS, Math.round(afterMs)) }
  const ms = safely(() => Date.prototype.getTime.call(propertyOf(mark, 'at')), NaN)
  return Number.isNaN(ms) ? undefined : { at: new Date(Math.max(0, Math.min(ms, LAST_INSTANT_MS))) }
}

/** More digits are no delay: some servers send the time since 1970. */
const DELAY_SECONDS = /^\d{1,9}$/

function timingOf(time: { readonly at: InstantInput } | { readonly after: Duration }): RetryTiming | undefined {
  if (!('at' in time)) return { afterMs: cappedDurationMs(time.after, 'after of a RetryLaterError', MAX_STORED_MS) }
  // A server's answer may be too far away for a database, and must not replace the handler's error by another.
  const isTooLate = time.at instanceof Date && time.at.getTime() > LAST_INSTANT_MS
  const at = isTooLate ? new Date(LAST_INSTANT_MS) : instantOf('at of a RetryLaterError', time.at)
  return at > new Date() ? { at } : undefined
}
