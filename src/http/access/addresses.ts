import { hostname } from 'node:os'
import { isIP } from 'node:net'
import { isLoopback } from '../../access/loopback.ts'

/** Returns the host of a `Host` header, without its port, in lower case. Undefined if the header is not a host. */
export function hostOf(header: string | undefined): string | undefined {
  if (header === undefined || header.length > 300) return undefined
  const [, bracketed, plain] = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::\d{1,5})?$/i.exec(header) ?? []
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, '')
}

/**
 * Whether a server answers requests for this host. A name that resolves to this machine may belong to an attacker. Through such a name, a
 * website could make a browser read from this server (DNS rebinding). This is not possible with an IP address.
 *
 * @param names the names of `[http] hosts`; `*` allows every name
 */
export function isOwnHost(host: string, names: readonly string[]): boolean {
  if (isIP(host) !== 0 || isLoopback(host) || host === hostname().toLowerCase()) return true
  return names.some((name) => name === '*' || name.toLowerCase() === host)
}

/** Whether a page of this origin may send requests: one from the same host, or from one of `[http] hosts`. */
export function isOwnOrigin(origin: string, hostHeader: string | undefined, names: readonly string[]): boolean {
  const url = URL.parse(origin)
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return false
  if (url.host === hostHeader?.toLowerCase()) return true
  const host = hostOf(url.host)
  return host !== undefined && names.some((name) => name.toLowerCase() === host)
}
