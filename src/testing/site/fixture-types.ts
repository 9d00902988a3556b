import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Duration } from '../../time/duration.ts'

/** A page of a fixture site. It says how the server responds. */
export interface FixturePage {
  /** The status of the response. Default 200; with `redirect` 302. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /**
   * The body of the response. A string is sent as HTML, bytes are sent unchanged, and any other value is sent as JSON. `headers` may set
   * another content type.
   */
  readonly body?: unknown
  /** The links of an HTML page, which is sent instead of `body`. */
  readonly links?: readonly string[]
  /** The location to which the response redirects the client. */
  readonly redirect?: string
  /** How long the server waits before it responds. Default: it does not wait. */
  readonly delay?: Duration
  /** Makes the first requests for this page fail. */
  readonly failures?: FixtureFailures
  /** Whether a client must log in to get the page; otherwise it gets a 403. Default false. */
  readonly login?: boolean
  /**
   * A function that sends the response itself, for example with a body that never ends. It replaces the options above, except `delay`,
   * `failures` and `login`.
   */
  readonly respond?: (request: IncomingMessage, response: ServerResponse) => unknown
}

export interface FixtureFailures {
  /** How many requests fail. */
  readonly times: number
  /** The status of each failure; `'reset'` resets the connection. Default 500. */
  readonly status?: number | 'reset'
  readonly headers?: Readonly<Record<string, string>>
}

/** A request as the server received it. */
export interface FixtureRequest {
  readonly method: string
  /** The path with its query. */
  readonly url: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** When the headers of the request arrived, in milliseconds since 1970. */
  readonly at: number
  /** How many requests with this method and URL have arrived, including this one. */
  readonly count: number
}

/** A logged request. */
export interface FixtureLogEntry extends FixtureRequest {
  /** The status of the response. Undefined until the response is complete, and after a reset. */
  status: number | undefined
}

/** The pages by their paths, or a function that returns the page of a request. A path without a page is a 404. */
export type FixtureGraph =
  | Readonly<Record<string, FixturePage | string>>
  | ((request: FixtureRequest) => FixturePage | string | undefined | Promise<FixturePage | string | undefined>)

export interface FixtureSiteOptions {
  /** The robots.txt, given as its text, its status or a page. Default: status 404. */
  readonly robots?: string | number | FixturePage
  /** The path to which a client sends a POST request to log in. Default `/login`. */
  readonly loginPath?: string
  /** The port of the server. Default: any free port. */
  readonly port?: number
}
