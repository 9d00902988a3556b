import { describe, isError, messageOf, propertyOf, readError, safely } from '../errors-read.ts'
import { HIDDEN, redactText } from '../run/redact.ts'
import { announcesSecret, isDoubtfulKey, isSecretField, isSecretKey } from '../run/secret-names.ts'

// Limits for one line. Objects of a driver or a server refer to each other so often that visiting all paths, or writing them as JSON, would
// take far too long. With these limits, a line costs about the same whatever it contains.
const DEEPEST = 5
const MAX_OBJECTS = 500
const MAX_ENTRIES = 100
const LONGEST_CAUSE_CHAIN = 8
const MAX_AGGREGATED = 5
const LONGEST_MESSAGE = 8_000
const LONGEST_STACK = 16_000
/**
 * How many characters of a string are searched for secrets. A string is redacted before it is truncated, because a truncated connection
 * string no longer matches the pattern.
 */
const LONGEST_SEARCHED = 100_000
const UNREADABLE = "[can't be read]"

/**
 * Copies the fields of a log line and makes them safe to write. Hides the values of secret keys (`password`, `clientSecret`, `MYSQL_DSN`,
 * …). Turns errors into data, with their chain of causes. Replaces values that are too deep or too many with a note. Never changes the
 * original fields. Marks fields that throw when read.
 */
export function redactFields(fields: object): Record<string, unknown> {
  return new Copier().entries(fields, [])
}

class Copier {
  #objects = 0

  entries(value: object, path: readonly object[]): Record<string, unknown> {
    const inner = [...path, value]
    const copied: Record<string, unknown> = {}
    const keys = safely(() => Object.keys(value), [UNREADABLE])
    for (const key of keys.slice(0, MAX_ENTRIES)) {
      try {
        const item: unknown = Reflect.get(value, key)
        const isSecret = isSecretField(key, item) || (key === 'value' && item !== undefined && isNamedSecret(value))
        copied[key] = isSecret ? HIDDEN : this.#value(item, inner)
      } catch {
        copied[key] = UNREADABLE
      }
    }
    if (keys.length > MAX_ENTRIES) copied['…'] = `${keys.length - MAX_ENTRIES} more`
    return copied
  }

  #value(value: unknown, path: readonly object[]): unknown {
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
    if (isError(value)) return this.#error(value, path)
    if ('toJSON' in value && typeof value.toJSON === 'function') return value
    if (path.includes(value)) return '[Circular]'
    if (path.length === DEEPEST || this.#objects === MAX_OBJECTS) return Array.isArray(value) ? '[Array]' : '[Object]'
    this.#objects++
    if (value instanceof Map) return this.#map(value, path)
    return Array.isArray(value) ? this.#items(value, path) : this.entries(value, path)
  }

  #items(items: readonly unknown[], path: readonly object[]): unknown[] {
    const inner = [...path, items]
    // Raw headers are a list in which names and values alternate. Entries are lists with two items, inside a list.
    const isEntry = items.length === 2 && Array.isArray(path.at(-1)) && isSecretName(items[0])
    const isHidden = (index: number): boolean =>
      typeof items[index] === 'string' && (announcesSecret(items[index - 1]) || (isEntry && index === 1))
    const copied = items
      .slice(0, MAX_ENTRIES)
      .map((item, index) => (isHidden(index) ? HIDDEN : this.#value(item, inner)))
    return items.length > MAX_ENTRIES ? [...copied, `… ${items.length - MAX_ENTRIES} more`] : copied
  }

  #map(map: ReadonlyMap<unknown, unknown>, path: readonly object[]): Record<string, unknown> {
    return this.entries(Object.fromEntries([...map].map(([key, value]) => [String(key), value])), path)
  }

  /** Copies only the properties listed here, because drivers attach whole statements with their values to errors (`sql`). */
  #error(error: Error, path: readonly object[], chain = 1): Record<string, unknown> {
    const inner = [...path, error]
    const { name, code, stack, cause, errors, errorCount } = readError(error)
    const details = propertyOf(error, 'details')
    return {
      type: name.slice(0, 200),
      message: bounded(messageOf(error), LONGEST_MESSAGE),
      ...(code !== undefined && { code: typeof code === 'string' ? code.slice(0, 200) : code }),
      ...(details !== undefined && { details: safely(() => this.#value(details, inner), UNREADABLE) }),
      stack: stack && bounded(stack, LONGEST_STACK),
      ...(cause !== undefined && chain < LONGEST_CAUSE_CHAIN && { cause: this.#cause(cause, path, chain + 1) }),
      ...(errorCount > 0 && { errors: errors.slice(0, MAX_AGGREGATED).map((one) => this.#part(one, inner)) }),
    }
  }

  #cause(cause: unknown, path: readonly object[], chain: number): Record<string, unknown> {
    return isError(cause) ? this.#error(cause, path, chain) : { type: typeof cause, message: describe(cause) }
  }

  #part(part: unknown, path: readonly object[]): unknown {
    return isError(part) ? this.#value(part, path) : { type: typeof part, message: describe(part) }
  }
}

function bounded(text: string, longest: number): string {
  return text.length <= longest ? text : `${redactText(text.slice(0, LONGEST_SEARCHED)).slice(0, longest)}…`
}

/** Whether the object is an entry such as `{ name: 'DB_PASS', value: '…' }`. */
function isNamedSecret(entry: object): boolean {
  return ['name', 'key', 'header', 'field'].some((one) => isSecretName(propertyOf(entry, one)))
}

function isSecretName(name: unknown): boolean {
  return typeof name === 'string' && (isSecretKey(name) || isDoubtfulKey(name))
}
