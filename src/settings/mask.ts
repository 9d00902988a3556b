import { redactText } from '../run/redact.ts'

const HIDDEN = '***'
const HOST_ONLY = /^(?:\[[\da-f:.]+\]|[^:/]+)(?::\d{1,5})?(?:\/.*)?$/is

/**
 * A DSN that may be printed: `mysql://user:***@host:3306/db?***`. It never fails and hides too much rather than too
 * little, because it is also used on texts that are no valid DSN.
 */
export function maskDsn(dsn: string): string {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(dsn) ?? []
  if (scheme === undefined || rest === undefined) return dsn === '' ? '' : HIDDEN
  // A password may hold a raw `@`, so the last one ends it.
  const at = rest.lastIndexOf('@')
  const credentials = rest.slice(0, Math.max(at, 0))
  const address = hideQuery(rest.slice(at + 1))
  if (at < 0) return scheme + (HOST_ONLY.test(address) ? address : HIDDEN)
  const colon = credentials.indexOf(':')
  const user = colon < 0 ? credentials : credentials.slice(0, colon)
  // With a raw `?` nobody can tell which `@` ends the password; with a `/` or `#` the user is none.
  if (credentials.includes('?') || /[/#]/.test(user)) return scheme + HIDDEN
  return `${scheme}${user}${colon < 0 ? '' : `:${HIDDEN}`}@${address}`
}

function hideQuery(address: string): string {
  const cut = address.search(/[?#]/)
  return cut < 0 ? address : `${address.slice(0, cut)}?${HIDDEN}`
}

/**
 * `text` as it may be printed: what looks like a URL could hold a password, whatever key it was given to. Any other text follows the rule
 * of logs and errors.
 */
export function maskText(text: string): string {
  return text.includes('://') ? maskDsn(text) : redactText(text)
}

/** What is printed instead of a secret that is no text. */
export function maskSecret(value: unknown): string {
  return typeof value === 'string' ? maskDsn(value) : HIDDEN
}
