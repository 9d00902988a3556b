import { describe } from '../errors.ts'
import { safely } from '../errors-read.ts'
import { redactText } from '../run/redact.ts'

const MAX_SHOWN_PATH = 200

/** Returns the text of a URL for messages: without its user, password, query and fragment. */
export function shownUrl(url: URL): string {
  const path = url.pathname.length > MAX_SHOWN_PATH ? `${url.pathname.slice(0, MAX_SHOWN_PATH)}…` : url.pathname
  return redactText(`${url.origin}${path}`)
}

/**
 * Reads a URL.
 *
 * @returns the URL, or the problem without any part of the URL that may be secret
 */
export function readUrl(given: unknown, origin?: URL): { readonly url: URL } | { readonly problem: string } {
  if (!(given instanceof URL) && typeof given !== 'string') return { problem: `is ${describe(given)}; expected a URL` }
  const url = safely(() => new URL(given, origin), undefined)
  if (!url) {
    const shown = describe(redactText(String(given).split(/[?#]/, 1)[0] ?? ''))
    const isRelative = typeof given === 'string' && !/^[a-z][a-z0-9+.-]*:/i.test(given) && origin === undefined
    const why = isRelative ? 'expected an absolute URL, because this client has no origin' : 'expected a URL'
    return { problem: `is ${shown}; ${why}` }
  }
  if (url.protocol === 'http:' || url.protocol === 'https:') return { url }
  return { problem: `has the scheme ${describe(url.protocol)}; expected http: or https:` }
}

/** Returns the credentials of a URL as the value of an `authorization` header. Undefined if it has none. */
export function basicAuth({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined
  const decoded = (part: string): string => safely(() => decodeURIComponent(part), part)
  return `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
}
