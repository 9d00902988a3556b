import { createHash } from 'node:crypto'
import { parsedUrl } from '../request/canonical-url.ts'
import type { ReadyRequest } from '../request/request.ts'

/** The data that the queue stores for a crawl's item. */
export interface ItemPayload {
  readonly request: ReadyRequest
  /** The author's `data` for the request. */
  readonly data?: unknown
  /** The host of the seed that led to this item. */
  readonly root: string
}

/** The lane of all URLs without a host. */
const NO_HOST = 'no-host'
const MAX_LANE = 200
const SHOWN_CHARS = 130

/**
 * Returns the name of a request's lane: the host without a dot at its end, and the port if it is not the default port. A very long host is
 * shortened and gets a hash, so that hosts with the same beginning have different lanes.
 */
export function laneOf(url: string): string {
  return laneOfHost(parsedUrl(url)?.host ?? '')
}

/** Like {@link laneOf}, but takes the host of a URL, with its port; an empty string stands for a URL without a host. */
export function laneOfHost(full: string): string {
  const host = full.replace(/\.(?=:\d+$|$)/, '')
  if (host.length <= MAX_LANE) return host || NO_HOST
  return `${host.slice(0, SHOWN_CHARS)} ${createHash('sha256').update(host).digest('hex')}`
}
