import { describe } from '../../errors.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'
import { aFunction, type OptionCheck, type OptionChecks, readOptions, wholeNumber } from '../../options.ts'
import type { Page } from '../page.ts'
import type { CrawlBody, CrawlMethod } from '../request/request.ts'

/** A request that a login sends. */
export interface LoginRequest {
  readonly url: string | URL
  /** Default GET; POST with a body. */
  readonly method?: CrawlMethod
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: CrawlBody
  /** Statuses from 400 that are no failure. */
  readonly accept?: readonly number[]
  /** Default 10. */
  readonly redirects?: number
  /** Default `'30s'`. */
  readonly timeout?: Duration
}

/** Sends the requests of a login, with the cookies of its session. */
export interface LoginHttp {
  /** @throws CrawlError */
  request(request: LoginRequest): Promise<Page>
  /** @throws CrawlError */
  get(url: string | URL, options?: Omit<LoginRequest, 'url' | 'method' | 'body'>): Promise<Page>
  /** @throws CrawlError */
  post(url: string | URL, body?: CrawlBody, options?: Omit<LoginRequest, 'url' | 'method' | 'body'>): Promise<Page>
}

/** A session that logs in. Its cookies are kept by themselves. */
export interface NewSession {
  readonly name: string
  readonly signal: AbortSignal
  /**
   * Sends headers, such as a token, with every request of the session to an origin.
   *
   * @param origin default: every origin that this login has asked
   */
  send(headers: Readonly<Record<string, string>>, origin?: string | URL): void
}

/** The sessions of a crawl. One item at a time uses a session, over all nodes. */
export interface SessionSpec {
  /** Sessions at the same time, over all nodes. Default 20. */
  readonly size?: number
  /** Called once for each session in the fleet, before its first request. What it throws fails the item. */
  readonly login?: (http: LoginHttp, session: NewSession) => unknown
  /** When another session takes its place. A `blocked` answer always retires it. Default: 3 errors. */
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

/** All problems of a spec's `session`. */
export function sessionProblems(value: unknown): readonly string[] {
  return readOptions(value, CHECKS, '{ size: 20 }').problems.map((problem) => `session: ${problem}`)
}
