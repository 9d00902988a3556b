import { toError } from '../errors.ts'

const HIDDEN = '[redacted]'

/** Objects nested deeper than this are not logged; `log.ts` tells pino the same. */
export const DEEPEST = 4
const LONGEST_CAUSE_CHAIN = 8
const MOST_AGGREGATED = 5

const SECRET_KEY = /(?:password|passwd|token|secret|dsn|authorization|api_?key)$/i
// Quantifiers are bounded and the scheme is not matched: a long line without spaces must not cost quadratic time.
// `host:3306/path` is no credential, so a port that ends the authority is left alone.
const URL_PASSWORD = /(:\/\/[^\s/:@"]{0,128}:)(?!\d{1,5}(?:[/?#]|$))[^\s"]{1,256}@/g
const ASSIGNED_SECRET = /((?:password|passwd|secret|token|api_?key)=)[^\s&"',;)\\]+/gi

/**
 * The text without the passwords of connection strings (`mysql://user:password@host`) and the values of
 * `password=…`, `token=…` and the like. Works on plain text and on a line of JSON.
 */
export function redactText(text: string): string {
  return text.replace(URL_PASSWORD, `$1${HIDDEN}@`).replace(ASSIGNED_SECRET, `$1${HIDDEN}`)
}

/**
 * A copy of a log line's fields in which the values of secret keys (`password`, `clientSecret`, `MYSQL_DSN`, …) are
 * hidden and errors are data with their chain of causes. Fields are never changed in place.
 */
export function redactFields(fields: object): Record<string, unknown> {
  const seen = new Map<object, unknown>()
  return copy(fields, DEEPEST, seen) as Record<string, unknown>
}

function copy(value: unknown, depth: number, seen: Map<object, unknown>): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if ('toJSON' in value && typeof value.toJSON === 'function') return value
  // An object is copied once: a graph that meets itself again and again costs what it holds, not what it unfolds to.
  if (seen.has(value)) return seen.get(value)
  if (depth === 0) return '[Object]'
  seen.set(value, '[Circular]')
  const copied =
    value instanceof Error
      ? copyError(value, depth, seen)
      : Array.isArray(value)
        ? value.map((item) => copy(item, depth - 1, seen))
        : copyEntries(value, depth, seen)
  seen.set(value, copied)
  return copied
}

function copyEntries(value: object, depth: number, seen: Map<object, unknown>): Record<string, unknown> {
  const entries = Object.entries(value).map(([key, item]): [string, unknown] => [
    key,
    SECRET_KEY.test(key) && item !== undefined && item !== null ? HIDDEN : copy(item, depth - 1, seen),
  ])
  return Object.fromEntries(entries)
}

/**
 * Only what is named here leaves an error: drivers hang whole statements with their values on theirs (`sql`).
 */
function copyError(error: Error, depth: number, seen: Map<object, unknown>, chain = 1): Record<string, unknown> {
  const code = 'code' in error && ['string', 'number'].includes(typeof error.code) ? error.code : undefined
  const details = 'details' in error ? copy(error.details, depth - 1, seen) : undefined
  const cause = error.cause === undefined || chain === LONGEST_CAUSE_CHAIN ? undefined : toError(error.cause)
  return {
    type: error.name,
    message: error.message,
    ...(code !== undefined && { code }),
    ...(details !== undefined && { details }),
    stack: error.stack,
    ...(cause && { cause: copyError(cause, depth, seen, chain + 1) }),
    ...(error instanceof AggregateError && {
      errors: error.errors.slice(0, MOST_AGGREGATED).map((one) => copy(toError(one), depth - 1, seen)),
    }),
  }
}
