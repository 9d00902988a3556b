import { STATUS_CODES } from 'node:http'
import { type ErrorCode, PikoError } from '../../errors.ts'

/**
 * Why a request failed.
 *
 * - `network`: no complete response arrived, because of DNS, the connection, TLS, a reset, the time limit or a damaged body
 * - `throttled`: 429, or 503 with a `Retry-After`
 * - `server`: any other 5xx, 408 or 425
 * - `blocked`: 401, 403 or 407
 * - `client`: any other status that is not accepted
 * - `redirect`: too many redirects, or a redirect that can't be followed
 * - `size`: the body is larger than `maxBytes`
 * - `body`: the body is not what was expected: not JSON, refused by the schema, or in an unknown encoding
 */
export type HttpErrorKind = 'network' | 'throttled' | 'server' | 'blocked' | 'client' | 'redirect' | 'size' | 'body'

/**
 * Headers of a response by their names in lower case. The values of a repeated header are joined by `, `. The header `set-cookie` is left
 * out.
 */
export type HttpHeaders = Readonly<Record<string, string>>

/** The response to a request that failed. */
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
  /** The number of the try; 1 for the first. */
  readonly attempt: number
  readonly answer?: FailedAnswer | undefined
  readonly cause?: unknown
  readonly details?: Record<string, unknown>
}

/**
 * The error of a request. Its message and details contain no header, no query and no body, because these may contain secrets.
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

  /** The status of the response; undefined if there was no response. */
  get status(): number | undefined {
    return this.#answer?.status
  }

  /** The headers of the response; undefined if there was no response. They are not logged. */
  get headers(): HttpHeaders | undefined {
    return this.#answer?.headers
  }

  /** The beginning of the response's body, up to 16,384 bytes, which often says what was wrong. It is not logged. */
  get body(): string | undefined {
    return this.#answer?.text
  }
}

/** Returns a status with its standard text, such as `404 Not Found`. Ignores the text that the server has sent. */
export function statusText(status: number): string {
  const words = STATUS_CODES[status]
  return words === undefined ? String(status) : `${status} ${words}`
}
