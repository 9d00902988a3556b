import { STATUS_CODES } from 'node:http'
import { systemClock } from '../../clock.ts'
import { isPikoError } from '../../errors.ts'
import { messageOf, propertyOf } from '../../errors-read.ts'
import { UnknownEncoding } from '../../http-client/decoded.ts'
import { TimeIsUp } from '../../http-client/exchange.ts'
import { AddressRefused } from '../../http-client/public-address.ts'
import { TooLarge } from '../../http-client/read-all.ts'
import { redactText } from '../../run/redact.ts'
import { RetryLaterError, retryTimingOf } from '../../run/retry-errors.ts'
import { formatMs } from '../../time/duration.ts'
import { CrawlError, type FailureClass } from '../crawl-error.ts'
import type { Answer } from '../downloader.ts'
import type { ReadyRequest } from '../request/request.ts'

/** What is needed to create the error of a failed request. */
export interface Failing {
  readonly request: ReadyRequest
  readonly idleMs: number
  /** The method and URL of the failed request, without secrets. After a redirect, those of the request that followed it. */
  readonly shown: string
  /** The host and port of the proxy; undefined without a proxy. */
  readonly proxy: string | undefined
  /** Whether a session sent the request. Default false. */
  readonly hasSession?: boolean
}

/** Converts an error of undici, a stream or a decoder to a CrawlError. Returns a PikoError unchanged. */
export function failureOf(thrown: unknown, failing: Failing): Error {
  if (isPikoError(thrown)) return thrown
  const { shown, proxy } = failing
  const made = (kind: FailureClass, problem: string, cause?: unknown): CrawlError =>
    new CrawlError(`${shown} ${problem}`, { class: kind, cause, details: { ...(proxy !== undefined && { proxy }) } })
  const refused = addressRefusal(thrown)
  if (refused) return made('address', `is refused: ${refused.message}`)
  if (thrown instanceof TooLarge) return made('size', `${thrown.message}; raise limits.bytes`)
  if (thrown instanceof UnknownEncoding) return made('client', thrown.message)
  if (propertyOf(thrown, 'code') === 'UND_ERR_HEADERS_OVERFLOW') return made('size', 'has headers that are too large')
  const late = lateness(thrown, failing)
  if (late !== undefined) return made('network', late)
  const through = proxy === undefined ? '' : ` through the proxy ${proxy}`
  // Replaces line breaks, because a server can cause them in a message of undici.
  const message = redactText(messageOf(thrown)).replaceAll(/\s+/g, ' ')
  // With a proxy, the error has no cause, because the cause may contain the proxy's password.
  return made('network', `failed${through}: ${message}`, proxy === undefined ? thrown : undefined)
}

/** Finds a refused address in the chain of causes, because undici may wrap the error of the lookup. */
function addressRefusal(thrown: unknown): AddressRefused | undefined {
  for (let error = thrown, depth = 0; error !== undefined && depth < 4; error = propertyOf(error, 'cause'), depth++)
    if (error instanceof AddressRefused) return error
  return undefined
}

function lateness(thrown: unknown, { request, idleMs }: Failing): string | undefined {
  if (thrown instanceof TimeIsUp) return `did not end within ${formatMs(request.timeoutMs)}`
  switch (propertyOf(thrown, 'code')) {
    case 'UND_ERR_HEADERS_TIMEOUT':
      return `got no response for ${formatMs(idleMs)}`
    case 'UND_ERR_BODY_TIMEOUT':
      return `got no further byte for ${formatMs(idleMs)}`
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'could not connect in time'
    default:
      return undefined
  }
}

/** Creates the error for a status that the request does not accept. */
export function statusFailure(answer: Answer, { shown, proxy, hasSession = false }: Failing): CrawlError {
  const { status, headers } = answer
  const waitMs = waitOf(headers['retry-after'])
  return new CrawlError(`${shown} answered ${statusText(status)}`, {
    class: classOf(status, waitMs !== undefined, hasSession),
    status,
    // Some servers always send 0. Without any pause, all retries would be used up within a second.
    retryAfterMs: waitMs === 0 ? undefined : waitMs,
    answer,
    details: { ...(proxy !== undefined && { proxy }) },
  })
}

/**
 * Returns the failure class of a status of 400 or more. Pure.
 *
 * @param saysWhen whether the response has a usable `Retry-After` header
 * @param hasSession whether a session sent the request; then its cookies may have made the headers too large
 */
function classOf(status: number, saysWhen: boolean, hasSession: boolean): FailureClass {
  if (status === 429 || (status === 503 && saysWhen)) return 'throttled'
  if (status >= 500 || status === 408 || status === 425) return 'server'
  if (status === 401 || status === 403 || status === 407 || (status === 431 && hasSession)) return 'blocked'
  return 'client'
}

/** Returns how long a `Retry-After` header asks to wait, in milliseconds from now; undefined if the header is missing or unusable. */
function waitOf(header: string | undefined): number | undefined {
  const timing = retryTimingOf(RetryLaterError.fromHeader(header, ''))
  if (!timing) return undefined
  return 'afterMs' in timing ? timing.afterMs : Math.max(0, timing.at.getTime() - systemClock.now())
}

/** Formats a status with its standard text, such as `404 Not Found`. The server's own text is left out. */
function statusText(status: number): string {
  const words = STATUS_CODES[status]
  return words === undefined ? String(status) : `${status} ${words}`
}
