import { describe, headline, messageOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'

const MAX_DEPTH = 12
/** The maximum number of values to examine, so that the search does not block the event loop. */
const MAX_LOOKS = 20_000

interface Search {
  looks: number
  readonly seen: Set<object>
}

/**
 * Creates the error for a value that can't be copied between threads. It names the place: `args[0].rows[3].onDone is a function`.
 *
 * @param what the value as a whole, such as `an argument of parse() of parse.ts`
 * @param root the beginning of the place, such as `args`
 */
export function unsendable(what: string, root: string, value: unknown, cause: unknown): PikoError {
  const found = culprit(value, root, { looks: 0, seen: new Set() })
  const why = found === undefined ? messageOf(cause) : `${found.path} ${found.is}`
  const message = `${what} can't be copied between threads: ${why}; pass plain data`
  return new PikoError('OFFLOAD_COPY', message, { cause, details: found === undefined ? {} : { path: found.path } })
}

interface Culprit {
  readonly path: string
  readonly is: string
}

function culprit(value: unknown, path: string, search: Search): Culprit | undefined {
  if (typeof value === 'function') return { path, is: `is a ${isClass(value) ? 'class' : 'function'}` }
  if (typeof value === 'symbol') return { path, is: 'is a symbol' }
  if (typeof value !== 'object' || value === null) return undefined
  if (search.seen.has(value) || search.looks++ > MAX_LOOKS || path.split(/[.[]/).length > MAX_DEPTH) return undefined
  search.seen.add(value)
  try {
    return culpritInside(value, path, search)
  } catch (thrown) {
    return { path, is: `can't be read: reading it threw ${headline(thrown)}` }
  }
}

function culpritInside(value: object, path: string, search: Search): Culprit | undefined {
  if (isCopied(value)) return undefined
  if (value instanceof Map) {
    for (const [key, part] of value) {
      const found = culprit(key, `${path} key`, search) ?? culprit(part, `${path}.get(${describe(key)})`, search)
      if (found) return found
    }
    return undefined
  }
  if (value instanceof Set)
    return firstOf(
      [...value].map((part, index) => [`${path}[${index}]`, part]),
      search,
    )
  const parts = Array.isArray(value)
    ? value.map((part: unknown, index): [string, unknown] => [`${path}[${index}]`, part])
    : Object.keys(value).map((key): [string, unknown] => [placeOf(path, key), readPart(value, key)])
  return firstOf(parts, search) ?? opaque(value, path)
}

function firstOf(parts: readonly (readonly [string, unknown])[], search: Search): Culprit | undefined {
  for (const [path, part] of parts) {
    const found = part instanceof Unreadable ? { path, is: part.is } : culprit(part, path, search)
    if (found) return found
  }
  return undefined
}

class Unreadable {
  readonly is: string
  constructor(thrown: unknown) {
    this.is = `can't be read: reading it threw ${headline(thrown)}`
  }
}

function readPart(value: object, key: string): unknown {
  try {
    return Reflect.get(value, key)
  } catch (thrown) {
    return new Unreadable(thrown)
  }
}

function placeOf(path: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}

function isClass(value: object): boolean {
  return Function.prototype.toString.call(value).startsWith('class')
}

/** Whether structured clone can copy the value although it is not a plain object. */
function isCopied(value: object): boolean {
  return ArrayBuffer.isView(value) || value instanceof Date || value instanceof ArrayBuffer || value instanceof RegExp
}

/** Describes a value that can't be copied although all its parts can, such as a promise or a WeakMap. Undefined if it can be copied. */
function opaque(value: object, path: string): Culprit | undefined {
  try {
    // A plain object has no other parts, and each of its parts can be copied.
    if (isPlain(value)) return undefined
    structuredClone(value)
    return undefined
  } catch {
    return { path, is: `is ${describe(value)}` }
  }
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || prototype === Array.prototype
}
