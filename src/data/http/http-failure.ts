import { isPikoError, type PikoError } from '../../errors.ts'
import { messageOf, propertyOf } from '../../errors-read.ts'
import { redactText } from '../../run/redact.ts'
import { RetryLaterError, retryTimingOf } from '../../run/retry-errors.ts'
import { formatMs } from '../../time/duration.ts'
import { UnknownEncoding } from '../../http-client/decoded.ts'
import { TimeIsUp } from '../../http-client/exchange.ts'
import { TooLarge } from '../../http-client/read-all.ts'
import { isRedirect } from '../../http-client/redirected.ts'
import { WrongBody } from './http-body.ts'
import { type FailedAnswer, HttpError, type HttpErrorKind, type HttpErrorParts, statusText } from './http-error.ts'
import type { Try } from './http-plan.ts'

/** Converts an error of undici, a stream or a decoder into the error to throw. */
export function failureOf(thrown: unknown, tried: Try, answer?: FailedAnswer): PikoError {
  if (isPikoError(thrown)) return thrown
  const parts = { request: tried.plan.shown, attempt: tried.attempt, answer }
  if (thrown instanceof TooLarge)
    return new HttpError('HTTP_TOO_LARGE', `${thrown.message}; raise maxBytes, or read it with stream()`, {
      ...parts,
      kind: 'size',
    })
  if (thrown instanceof WrongBody || thrown instanceof UnknownEncoding)
    return new HttpError('HTTP_BODY_INVALID', thrown.message, { ...parts, kind: 'body', cause: thrown.cause })
  const late = lateness(thrown, tried)
  if (late !== undefined) return new HttpError('TIMEOUT', late, { ...parts, kind: 'network' })
  return new HttpError('HTTP_FAILED', `failed: ${redactText(messageOf(thrown))}`, {
    ...parts,
    kind: 'network',
    cause: thrown,
  })
}

function lateness(thrown: unknown, { plan: { timeoutMs, idleMs } }: Try): string | undefined {
  if (thrown instanceof TimeIsUp) return `did not end within ${formatMs(timeoutMs)}`
  switch (propertyOf(thrown, 'code')) {
    case 'UND_ERR_HEADERS_TIMEOUT':
      return `got no answer for ${formatMs(idleMs)}`
    case 'UND_ERR_BODY_TIMEOUT':
      return `got no further byte for ${formatMs(idleMs)}`
    case 'UND_ERR_CONNECT_TIMEOUT':
      return 'could not connect in time'
    default:
      return undefined
  }
}

/** Creates the error for a status that is not accepted. */
export function statusFailure(answer: FailedAnswer, tried: Try): HttpError {
  const { status, headers } = answer
  // This error becomes the cause. The retries of the client and of the job read from it when to try again.
  const later = RetryLaterError.fromHeader(headers['retry-after'], 'the server says when to try again')
  const hasTime = retryTimingOf(later) !== undefined
  const parts: HttpErrorParts = {
    kind: kindOf(status, headers['location'], hasTime),
    request: tried.plan.shown,
    attempt: tried.attempt,
    answer,
    ...(hasTime && { cause: later }),
  }
  return new HttpError('HTTP_STATUS', `answered ${statusText(status)}`, parts)
}

function kindOf(status: number, location: string | undefined, hasTime: boolean): HttpErrorKind {
  if (isRedirect(status, location)) return 'redirect'
  if (status === 429 || (status === 503 && hasTime)) return 'throttled'
  if (status >= 500 || status === 408 || status === 425) return 'server'
  return status === 401 || status === 403 || status === 407 ? 'blocked' : 'client'
}
