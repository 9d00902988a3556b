import { redactText } from '../run/redact.ts'

const HIDDEN = '***'
const HOST_ONLY = /^(?:\[[\da-f:.]+\]|[^:/]+)(?::\d{1,5})?(?:\/.*)?$/is

/**
 * Returns a DSN that is safe to print: `mysql://user:***@host:3306/db?***`. Never fails. The text may be an invalid DSN, so this hides too
 * much rather than too little.
 */
export function maskDsn(dsn: string): string {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*:\/\/)(.*)$/is.exec(dsn) ?? []
  if (scheme === undefined || rest === undefined) return dsn === '' ? '' : HIDDEN
  // A password may contain a raw `@`, so the last `@` ends the password.
  const at = rest.lastIndexOf('@')
  const credentials = rest.slice(0, Math.max(at, 0))
  const address = hideQuery(rest.slice(at + 1))
  if (at < 0) return scheme + (HOST_ONLY.test(address) ? address : HIDDEN)
  const colon = credentials.indexOf(':')
  const user = colon < 0 ? credentials : credentials.slice(0, colon)
  // With a raw `?`, it is not clear which `@` ends the password. A string with `/` or `#` is not a user name.
  if (credentials.includes('?') || /[/#]/.test(user)) return scheme + HIDDEN
  return `${scheme}${user}${colon < 0 ? '' : `:${HIDDEN}`}@${address}`
}

function hideQuery(address: string): string {
  const cut = address.search(/[?#]/)
  return cut < 0 ? address : `${address.slice(0, cut)}?${HIDDEN}`
}

/**
 * Returns a string that is safe to print. A string with `://` is masked like a DSN, because a URL may contain a password. Other strings are
 * redacted as in logs and errors.
 */
export function maskText(text: string): string {
  return text.includes('://') ? maskDsn(text) : redactText(text)
}

/** Masks a secret. Only the harmless parts of a DSN, and the origin of a web address, stay readable. */
export function maskSecret(value: unknown): string {
  if (typeof value !== 'string') return HIDDEN
  // The path of a webhook is a secret.
  const [, origin] = /^(https?:\/\/[^/?#@]*)[/?#]/i.exec(value) ?? []
  return origin === undefined ? maskDsn(value) : `${origin}/${HIDDEN}`
}
