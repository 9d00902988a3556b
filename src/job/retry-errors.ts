import { describe, PikoError } from '../errors.ts'
import { type Duration, durationMs } from '../time/duration.ts'

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

/** When the next attempt may begin: at an instant, or so many milliseconds after the end of the one before. */
export type RetryTiming = { readonly at: Date } | { readonly afterMs: number }

/**
 * Thrown by a handler that knows when trying again makes sense. The time replaces the back-off and its cap; the attempt
 * counts, so the retries of the job's `retry` still end.
 *
 * @example
 * if (response.status === 429) throw RetryLaterError.fromHeader(response.headers.get('retry-after'), 'rate limited')
 */
export class RetryLaterError extends Error {
  readonly [RETRY_AT]: RetryTiming

  /** @throws PikoError `USAGE` for an invalid date, `DURATION_INVALID` */
  constructor(message: string, time: { readonly at: Date } | { readonly after: Duration }, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RetryLaterError'
    this[RETRY_AT] =
      'at' in time
        ? { at: valid(time.at) }
        : { afterMs: Math.min(LONGEST_MS, durationMs(time.after, 'after of a RetryLaterError')) }
  }

  /**
   * From an HTTP `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). Without one, or with one that is neither, after
   * `otherwise`.
   *
   * @param otherwise default `'30s'`
   */
  static fromHeader(header: string | null | undefined, message: string, otherwise: Duration = '30s'): RetryLaterError {
    const text = header?.trim() ?? ''
    if (/^\d{1,9}$/.test(text)) return new RetryLaterError(message, { after: `${Number(text)}s` })
    const date = new Date(text)
    return new RetryLaterError(message, Number.isNaN(date.getTime()) ? { after: otherwise } : { at: date })
  }
}

/** Whether an error, or one that caused it, says that another attempt can't help. */
export function forbidsRetry(error: unknown): boolean {
  return chainOf(error).some((link) => NO_RETRY in link)
}

/** When an error, or one that caused it, wants the next attempt. */
export function retryTimingOf(error: unknown): RetryTiming | undefined {
  for (const link of chainOf(error)) {
    if (RETRY_AT in link) return link[RETRY_AT] as RetryTiming
  }
  return undefined
}

function chainOf(error: unknown): Error[] {
  const chain: Error[] = []
  for (let link = error; link instanceof Error && chain.length < 8; link = link.cause) chain.push(link)
  return chain
}

/** Ten years and the year 9999: a server's answer must not make an instant that the database can't keep. */
const LONGEST_MS = 10 * 365 * 86_400_000
const LAST_INSTANT_MS = Date.UTC(9999, 11, 31)

function valid(at: Date): Date {
  if (!(at instanceof Date) || Number.isNaN(at.getTime())) {
    throw new PikoError('USAGE', `at of a RetryLaterError is ${describe(at)}; expected a valid Date`)
  }
  return new Date(Math.max(0, Math.min(at.getTime(), LAST_INSTANT_MS)))
}
