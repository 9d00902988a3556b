import { parsedUrl } from '../request/canonical-url.ts'
import type { ReadyRequest } from '../request/request.ts'

/** An item of a crawl as it is stored. */
export interface ItemPayload {
  readonly request: ReadyRequest
  /** The author's own `data`. */
  readonly data?: unknown
  /** The host of the seed that it descends from. */
  readonly root: string
  /** When the run's time is over, in milliseconds since the epoch. */
  readonly until?: number
}

/** The lane of a URL that no server has. */
const NO_HOST = 'no-host'
const MAX_LANE = 200

/** The name of a request's lane: its host, with its port unless it is the scheme's own. */
export function laneOf(url: string): string {
  return hostOf(url).slice(0, MAX_LANE) || NO_HOST
}

/** The host of a URL; an empty text if it has none. */
export function hostOf(url: string): string {
  return parsedUrl(url)?.host ?? ''
}
