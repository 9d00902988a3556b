import { Readable } from 'node:stream'
import { safely } from '../errors-read.ts'
import type { Sent } from './sent.ts'
import { readUrl } from './url.ts'

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The headers that another origin may see. All others may contain secrets. */
const HARMLESS: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'accept-language',
  'content-type',
  'if-modified-since',
  'if-none-match',
  'range',
  'user-agent',
])

/** Whether another origin may see a header. @param name in lower case */
export function isHarmless(name: string): boolean {
  return HARMLESS.has(name)
}

/** Whether a status is a redirect. */
export function isRedirectStatus(status: number): boolean {
  return REDIRECTS.has(status)
}

export function isRedirect(status: number, location: string | undefined): location is string {
  return location !== undefined && isRedirectStatus(status)
}

/** Returns the next request after a redirect (RFC 9110, section 15.4), or why it can't be sent. Pure. */
export function redirected(
  sent: Sent,
  status: number,
  location: string,
): { readonly sent: Sent } | { readonly problem: string } {
  const reading = readUrl(asUtf8(location), sent.url)
  if ('problem' in reading) return { problem: `has a redirect whose location ${reading.problem}` }
  const url = new URL(reading.url)
  // A server that redirects the client must not choose its credentials.
  url.username = ''
  url.password = ''
  url.hash = ''
  const isSame = url.origin === sent.url.origin
  const headers = isSame ? sent.headers : only(sent.headers, isHarmless)
  if (becomesGet(sent.method, status)) {
    const method = sent.method === 'HEAD' ? 'HEAD' : 'GET'
    return { sent: { method, url, headers: only(headers, (name) => !name.startsWith('content-')), body: undefined } }
  }
  if (sent.body instanceof Readable) return { problem: 'has a redirect that repeats the body, which is a stream' }
  return { sent: { ...sent, url, headers } }
}

/**
 * Reads a location that a server has sent as UTF-8, as browsers do. HTTP clients return headers with one character per byte. A location
 * that is not UTF-8 is returned unchanged. Pure.
 */
function asUtf8(location: string): string {
  if (!/[\u0080-\u00ff]/.test(location) || /[^\0-\u00ff]/.test(location)) return location
  return safely(() => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(location, 'latin1')), location)
}

function becomesGet(method: Sent['method'], status: number): boolean {
  return status === 303 ? method !== 'HEAD' : method === 'POST' && (status === 301 || status === 302)
}

function only(headers: Sent['headers'], isKept: (name: string) => boolean): Sent['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => isKept(name)))
}
