import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { Duration } from '../../time/duration.ts'

/** What a page of a fixture site answers. */
export interface FixturePage {
  /** Default 200; 302 with `redirect`. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** A text is HTML, bytes are sent as they are, any other value is JSON; `headers` may name another content type. */
  readonly body?: unknown
  /** An HTML page with these links instead of a body. */
  readonly links?: readonly string[]
  /** Where the answer sends the client. */
  readonly redirect?: string
  /** How long the answer takes. */
  readonly delay?: Duration
  /** How the first requests for this page fail. */
  readonly failures?: FixtureFailures
  /** Whether only a client that has logged in gets it; others get a 403. */
  readonly login?: boolean
  /** Answers by itself, such as with a body that never ends. */
  readonly respond?: (request: IncomingMessage, response: ServerResponse) => unknown
}

export interface FixtureFailures {
  readonly times: number
  /** The status of each failure, or a connection that is reset. Default 500. */
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
  /** When its headers had arrived, in milliseconds since the epoch. */
  readonly at: number
  /** How many requests of this method and URL there were, this one included. */
  readonly count: number
}

/** A request of the log. */
export interface FixtureLogEntry extends FixtureRequest {
  /** The status of the answer; undefined as long as there is none, and after a reset. */
  status: number | undefined
}

/** The pages by their paths, or a function that makes them; undefined is a 404. */
export type FixtureGraph =
  | Readonly<Record<string, FixturePage | string>>
  | ((request: FixtureRequest) => FixturePage | string | undefined | Promise<FixturePage | string | undefined>)

export interface FixtureSiteOptions {
  /** The text of robots.txt, the status that it answers, or its page. Default 404. */
  readonly robots?: string | number | FixturePage
  /** Where a client logs in with a POST. Default `/login`. */
  readonly loginPath?: string
  /** Default: a free one. */
  readonly port?: number
}
