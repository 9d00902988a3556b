import { headline, isOneOf, propertyOf } from '../../errors-read.ts'
import { isPikoError, toError } from '../../errors.ts'
import { ItemError, itemFaultOf } from '../../item/item-error.ts'
import { isSetupError } from '../../item/setup-error.ts'
import { forbidsRetry, retryTimingOf } from '../../run/retry-errors.ts'
import { type CrawlError, FAILURE_CLASSES, type FailureClass } from '../crawl-error.ts'
import { MAX_RETRY_AFTER_MS } from './failure-policy.ts'

/** The failure of a page. Its class decides how often the page is retried; the try ends with its error. */
export interface PageFailure {
  readonly class: FailureClass
  readonly error: Error
}

/** Whether the value is a {@link CrawlError}, even from another installed copy of this package. */
export function isCrawlError(thrown: unknown): thrown is CrawlError {
  return isPikoError(thrown, 'CRAWL_FAILED') && isOneOf(FAILURE_CLASSES, propertyOf(thrown, 'class'))
}

/** Returns the failure of a page for an error from a download, a middleware or a step. */
export function failureOf(thrown: unknown): PageFailure {
  if (isCrawlError(thrown)) return { class: thrown.class, error: ofDownload(thrown) }
  const fault = itemFaultOf(thrown)
  // An author's own error may set the class or the time of the retry, or forbid a retry. Such an error is kept.
  if (fault || forbidsRetry(thrown) || retryTimingOf(thrown)) {
    const name = fault?.class
    return { class: FAILURE_CLASSES.find((one) => one === name) ?? 'parse', error: toError(thrown) }
  }
  const isOfSink = isPikoError(thrown, 'SINK_FAILED') || isPikoError(thrown, 'SINK_SPILL_FULL')
  const name = isSetupError(thrown) ? 'setup' : isOfSink ? 'sink' : 'parse'
  return { class: name, error: new ItemError(headline(thrown), { class: name, cause: thrown }) }
}

function ofDownload(error: CrawlError): Error {
  const { retryAfterMs } = error
  return new ItemError(error.message, {
    class: error.class,
    ...(retryAfterMs !== undefined && { retryAfter: `${Math.min(retryAfterMs, MAX_RETRY_AFTER_MS)}ms` }),
    ...(error.class === 'throttled' && { lane: 'wait' as const }),
    cause: error,
  })
}
