import { describe } from '../../errors.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'
import { aFunction, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import type { Page } from '../page.ts'
import type { CrawlBody, CrawlMethod } from '../request/request.ts'

/** A request that a login sends. */
export interface LoginRequest {
  readonly url: string | URL
  /** The method. Default: POST if the request has a body, otherwise GET. */
  readonly method?: CrawlMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: CrawlBody
  /** Statuses of 400 or more that do not count as failures. Default: none. */
  readonly accept?: readonly number[]
  /** The maximum number of redirects. Default 10. */
  readonly redirects?: number
  /** The time limit of the request. Default `'30s'`. */
  readonly timeout?: Duration
}

/** Sends the requests of a login, with the cookies of the session. */
export interface LoginHttp {
  /** Sends a request, and returns the page. @throws CrawlError */
  request(request: LoginRequest): Promise<Page>
  /** Sends a GET request. @throws CrawlError */
  get(url: string | URL, options?: Omit<LoginRequest, 'url' | 'method' | 'body'>): Promise<Page>
  /** Sends a POST request. @throws CrawlError */
  post(url: string | URL, body?: CrawlBody, options?: Omit<LoginRequest, 'url' | 'method' | 'body'>): Promise<Page>
}

/** A session during its login. Cookies of the responses are stored automatically. */
export interface NewSession {
  readonly name: string
  readonly signal: AbortSignal
  /**
   * Sets headers, such as a token, for all later requests of the session to an origin.
   *
   * @param origin default: every origin to which this login has sent a request
   */
  send(headers: Readonly<Record<string, string>>, origin?: string | URL): void
}

/** The sessions of a crawl. All nodes share them, and only one item at a time uses a session. */
export interface SessionSpec {
  /** The maximum number of sessions of all nodes at the same time. Default 20. */
  readonly size?: number
  /** Called once for each new session, on one node, before the session's first request. An error fails the item. Default: no login. */
  readonly login?: (http: LoginHttp, session: NewSession) => unknown
  /**
   * After how many requests (`uses`) or failed requests (`errors`) a session is replaced. A blocked session is also replaced, unless
   * `retry.blocked.fresh` leaves out `'session'`. Default: 3 errors.
   */
  readonly retireAfter?: { readonly uses?: number; readonly errors?: number }
  /** How long an item waits for a free session. Default `'30s'`. */
  readonly wait?: Duration
}

export const MAX_SESSIONS = 10_000

const RETIRE: OptionChecks<NonNullable<SessionSpec['retireAfter']>> = { uses: wholeNumber(1), errors: wholeNumber(1) }
const CHECKS: OptionChecks<SessionSpec> = {
  size: wholeNumber(1, MAX_SESSIONS),
  login: aFunction,
  retireAfter: nested(RETIRE, '{ uses: 500, errors: 3 }'),
  wait: aDuration(1),
}

function nested<T extends object>(checks: OptionChecks<T>, example: string): OptionCheck {
  return (value) => {
    const { problems } = readOptions(value, checks, example)
    return problems.length === 0 ? undefined : `is ${describe(value)}: ${problems.join('; ')}`
  }
}

/** Returns all problems of a spec's `session`. */
export function sessionProblems(value: unknown): readonly string[] {
  return readOptions(value, CHECKS, '{ size: 20 }').problems.map((problem) => `session: ${problem}`)
}
