import { checkedCall } from '../call-options.ts'
import { describe, PikoError } from '../errors.ts'
import { anything, aTable, expecting, oneOf, type OptionChecks, wholeNumber } from '../options.ts'
import type { Answer } from './downloader.ts'

/**
 * Why an item of a crawl failed. Each class has its own number of retries; see `docs/crawl.md`.
 *
 * - `network`: no complete response arrived, because of DNS, the connection, TLS, a reset or the time limit
 * - `throttled`: 429, or 503 with a `Retry-After`; the whole lane waits
 * - `server`: any other 5xx, 408 or 425
 * - `blocked`: 401, 403 or 407; 431 if a session sent the request; or a page that `isBlocked` recognises
 * - `client`: any other status of 400 or more that the request does not accept; an unknown content encoding; or no downloader for
 *   the request
 * - `size`: the body, or another part of the response, is larger than its limit
 * - `redirect`: too many redirects, redirects in a loop, or a redirect without a usable `location`
 * - `address`: an invalid URL, a scheme other than http and https, or a private address
 * - `robots`: robots.txt disallows the URL, and the item is skipped, not dead; or robots.txt had a server error, and the item is retried
 * - `parse`: the step threw an error
 * - `sink`: the rows of the page could not be stored
 * - `setup`: a package, or a table or column of a sink, is missing or wrong; the item is not retried
 */
export const FAILURE_CLASSES = [
  'network',
  'throttled',
  'server',
  'blocked',
  'client',
  'size',
  'redirect',
  'address',
  'robots',
  'parse',
  'sink',
  'setup',
] as const

export type FailureClass = (typeof FAILURE_CLASSES)[number]

/** What a downloader knows about a failure. */
export interface CrawlErrorParts {
  readonly class: FailureClass
  /** The status of the response; undefined if none arrived. */
  readonly status?: number | undefined
  /** How long the server asks clients to wait, as in its `Retry-After` header, in milliseconds; undefined if it sends no such header. */
  readonly retryAfterMs?: number | undefined
  /** The response, if one arrived. A dead item keeps its body. */
  readonly answer?: Answer | undefined
  readonly cause?: unknown
  readonly details?: Record<string, unknown>
}

const CHECKS: OptionChecks<CrawlErrorParts> = {
  class: oneOf(...FAILURE_CLASSES),
  status: wholeNumber(100, 999),
  retryAfterMs: expecting('milliseconds', (value) => typeof value === 'number' && value >= 0),
  answer: aTable,
  cause: anything,
  details: aTable,
}

/**
 * The failure of a crawl's request. Its message never contains the URL's query, a header, the body or the proxy's URL, because these may
 * contain secrets.
 */
export class CrawlError extends PikoError {
  readonly class: FailureClass
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly #answer: Answer | undefined

  /** @throws PikoError `USAGE` for wrong parts */
  constructor(message: string, given: CrawlErrorParts) {
    const parts = checkedCall(`new CrawlError(${describe(message)})`, CHECKS, given, ['class'])
    super('CRAWL_FAILED', message, {
      ...(parts.cause !== undefined && { cause: parts.cause }),
      details: {
        class: parts.class,
        ...(parts.status !== undefined && { status: parts.status }),
        ...parts.details,
      },
    })
    this.class = parts.class
    this.status = parts.status
    this.retryAfterMs = parts.retryAfterMs
    this.#answer = parts.answer
  }

  /** The response, if one arrived. Logs never contain it. */
  get answer(): Answer | undefined {
    return this.#answer
  }
}
