import { createHash } from 'node:crypto'
import { parsedUrl } from '../request/canonical-url.ts'
import type { ReadyRequest } from '../request/request.ts'

/** An item of a crawl as it is stored. */
export interface ItemPayload {
  readonly request: ReadyRequest
  /** The author's own `data`. */
  readonly data?: unknown
  /** The host of the seed that it descends from. */
  readonly root: string
}

/** The lane of a URL that no server has. */
const NO_HOST = 'no-host'
const MAX_LANE = 200
const SHOWN_CHARS = 130

/**
 * The name of a request's lane: its host, with its port unless it is the scheme's own. A host is the same with a dot at its end. Of a very
 * long one, a hash tells it from others with the same beginning.
 */
export function laneOf(url: string): string {
  const host = hostOf(url).replace(/\.(?=:\d+$|$)/, '')
  if (host.length <= MAX_LANE) return host || NO_HOST
  return `${host.slice(0, SHOWN_CHARS)} ${createHash('sha256').update(host).digest('hex')}`
}

/** The host of a URL; an empty text if it has none. */
export function hostOf(url: string): string {
  return parsedUrl(url)?.host ?? ''
}
