import { PikoError } from '../errors.ts'
import type { Answer } from './downloader.ts'

/**
 * Why an item of a crawl failed; `docs/crawl.md` has the budget of each.
 *
 * - `network`: no whole answer came: DNS, connection, TLS, reset, time limit
 * - `throttled`: 429, or 503 with a `Retry-After`; the whole lane waits
 * - `server`: any other 5xx
 * - `blocked`: 401, 403 or 407, or a page that `isBlocked` recognises
 * - `client`: any other status of 400 or more that the request does not accept
 * - `size`: the body, or a part of the answer, is larger than the limit
 * - `redirect`: too many redirects, a loop, or one without a usable `location`
 * - `address`: a scheme other than http and https, or a private address
 * - `robots`: robots.txt disallows it: the item is skipped, not dead. Or a server error answered for robots.txt: it is tried again
 * - `parse`: the step threw
 * - `sink`: its rows could not be stored
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
] as const

export type FailureClass = (typeof FAILURE_CLASSES)[number]

/** What a downloader knows of a failure. */
export interface CrawlErrorParts {
  readonly class: FailureClass
  /** The status of the answer, if one came. */
  readonly status?: number | undefined
  /** How long the server asks to wait, in milliseconds: `Retry-After`. */
  readonly retryAfterMs?: number | undefined
  /** The answer that came with the failure. Its body is kept with a dead item. */
  readonly answer?: Answer | undefined
  readonly cause?: unknown
  readonly details?: Record<string, unknown>
}

/** A request of a crawl that failed. Its message has no query, no header, no body and no proxy, which may contain secrets. */
export class CrawlError extends PikoError {
  readonly class: FailureClass
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly #answer: Answer | undefined

  constructor(message: string, parts: CrawlErrorParts) {
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

  /** The answer that came with the failure. Not part of logs. */
  get answer(): Answer | undefined {
    return this.#answer
  }
}
