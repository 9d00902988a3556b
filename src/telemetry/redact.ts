import { describe, toError } from '../errors.ts'
import { HIDDEN } from '../job/redact.ts'

// What a line may hold. Objects of a driver or a server refer to each other so often that a walk over all paths, or
// the JSON of it, would not end; the limits make the cost of a line independent of what is logged.
const DEEPEST = 5
const MOST_OBJECTS = 500
const MOST_ENTRIES = 100
const LONGEST_CAUSE_CHAIN = 8
const MOST_AGGREGATED = 5

const SECRET_KEY = /(?:password|passwd|token|secret|dsn|authorization|api_?key)$/i

/**
 * A copy of a log line's fields in which the values of secret keys (`password`, `clientSecret`, `MYSQL_DSN`, …) are
 * hidden, errors are data with their chain of causes, and what is too deep or too much is named instead. Fields are
 * never changed in place.
 */
export function redactFields(fields: object): Record<string, unknown> {
  return new Copier().entries(fields, [])
}

class Copier {
  #objects = 0

  entries(value: object, path: readonly object[]): Record<string, unknown> {
    const inner = [...path, value]
    const copied: Record<string, unknown> = {}
    const entries = Object.entries(value)
    for (const [key, item] of entries.slice(0, MOST_ENTRIES)) {
      const isSecret = SECRET_KEY.test(key) && item !== undefined && item !== null
      copied[key] = isSecret ? HIDDEN : this.#value(item, inner)
    }
    if (entries.length > MOST_ENTRIES) copied['…'] = `${entries.length - MOST_ENTRIES} more`
    return copied
  }

  #value(value: unknown, path: readonly object[]): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
    if ('toJSON' in value && typeof value.toJSON === 'function') return value
    if (path.includes(value)) return '[Circular]'
    if (path.length === DEEPEST || this.#objects === MOST_OBJECTS) return Array.isArray(value) ? '[Array]' : '[Object]'
    this.#objects++
    if (value instanceof Error) return this.#error(value, path)
    return Array.isArray(value) ? this.#items(value, path) : this.entries(value, path)
  }

  #items(items: readonly unknown[], path: readonly object[]): unknown[] {
    const inner = [...path, items]
    const copied = items.slice(0, MOST_ENTRIES).map((item) => this.#value(item, inner))
    return items.length > MOST_ENTRIES ? [...copied, `… ${items.length - MOST_ENTRIES} more`] : copied
  }

  /** Only what is named here leaves an error: drivers hang whole statements with their values on theirs (`sql`). */
  #error(error: Error, path: readonly object[], chain = 1): Record<string, unknown> {
    const inner = [...path, error]
    const code = 'code' in error && ['string', 'number'].includes(typeof error.code) ? error.code : undefined
    return {
      type: error.name,
      message: error.message,
      ...(code !== undefined && { code }),
      ...('details' in error && { details: this.#value(error.details, inner) }),
      stack: error.stack,
      ...(error.cause !== undefined &&
        chain < LONGEST_CAUSE_CHAIN && { cause: this.#cause(error.cause, path, chain + 1) }),
      ...(error instanceof AggregateError && {
        errors: error.errors.slice(0, MOST_AGGREGATED).map((one) => this.#value(toError(one), inner)),
      }),
    }
  }

  #cause(cause: unknown, path: readonly object[], chain: number): Record<string, unknown> {
    return cause instanceof Error ? this.#error(cause, path, chain) : { type: typeof cause, message: describe(cause) }
  }
}
