import { STATUS_CODES } from 'node:http'
import { type ErrorCode, PikoError } from '../../errors.ts'

/**
 * Why a request failed.
 *
 * - `network`: no complete response: DNS, connection, TLS, reset, time limit, a damaged body
 * - `throttled`: 429, or 503 with a `Retry-After`
 * - `server`: any other 5xx, 408 or 425
 * - `blocked`: 401, 403 or 407
 * - `client`: any other status that is not accepted
 * - `redirect`: too many redirects, or one that can't be followed
 * - `size`: the body is larger than `maxBytes`
 * - `body`: the body is not what was expected: no JSON, or refused by the schema
 */
export type HttpErrorKind = 'network' | 'throttled' | 'server' | 'blocked' | 'client' | 'redirect' | 'size' | 'body'

/** Headers of an answer by their names in lower case. A repeated header is joined by `, `; `set-cookie` is left out. */
export type HttpHeaders = Readonly<Record<string, string>>

/** The part of an answer that came with an error. */
export interface FailedAnswer {
  readonly status: number
  readonly headers: HttpHeaders
  readonly cookies: readonly string[]
  /** The beginning of the body. */
  readonly text?: string | undefined
}

export interface HttpErrorParts {
  readonly kind: HttpErrorKind
  /** The method and the URL without its query, for messages. */
  readonly request: string
  /** 1 for the first try. */
  readonly attempt: number
  readonly answer?: FailedAnswer | undefined
  readonly cause?: unknown
  readonly details?: Record<string, unknown>
}

/**
 * A request that failed. Its message and details have no header, no query and no body, which may contain secrets.
 *
 * Codes: `HTTP_FAILED` and `TIMEOUT` (kind `network`), `HTTP_STATUS` (`throttled`, `server`, `blocked`, `client`, `redirect`),
 * `HTTP_TOO_LARGE` (`size`), `HTTP_BODY_INVALID` (`body`).
 */
export class HttpError extends PikoError {
  readonly kind: HttpErrorKind
  readonly #answer: FailedAnswer | undefined

  constructor(code: ErrorCode, problem: string, parts: HttpErrorParts) {
    const { kind, request, attempt, answer, details } = parts
    const tried = attempt > 1 ? ` (attempt ${attempt})` : ''
    super(code, `${request} ${problem}${tried}`, {
      ...('cause' in parts && parts.cause !== undefined && { cause: parts.cause }),
      details: { kind, request, attempt, ...(answer && { status: answer.status }), ...details },
    })
    this.kind = kind
    this.#answer = answer
  }

  /** The status of the answer; undefined if none came. */
  get status(): number | undefined {
    return this.#answer?.status
  }

  /** The headers of the answer; undefined if none came. Not part of logs. */
  get headers(): HttpHeaders | undefined {
    return this.#answer?.headers
  }

  /** The beginning of the answer's body, which often says what was wrong. Not part of logs. */
  get body(): string | undefined {
    return this.#answer?.text
  }
}

/** `404 Not Found`, without the server's own words. */
export function statusText(status: number): string {
  const words = STATUS_CODES[status]
  return words === undefined ? String(status) : `${status} ${words}`
}
