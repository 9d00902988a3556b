import { types } from 'node:util'

/** The maximum number of values in a value; the value itself is included. */
const MAX_VALUES = 200
const MAX_DEPTH = 20
/** The maximum size of one character in JSON: an escape such as `\u001f`. */
const MAX_BYTES_PER_CHARACTER = 6
/** The maximum size of a number or a word in JSON, with its punctuation. */
const MAX_BYTES_PER_VALUE = 30

const UNUSUAL = new Error('not a small plain value')

/**
 * Copies a small value of plain JSON: objects and lists of strings, finite numbers, booleans and null. It takes a fraction of the time of
 * `jsonCopy`, which examines all other values and reports their problems.
 *
 * @returns undefined for any other value, or for one that may exceed `maxBytes` of JSON
 */
export function smallCopy(value: unknown, maxBytes: number): unknown {
  try {
    return new SmallCopier(maxBytes).copy(value, 0)
  } catch {
    return undefined // This also catches errors of getters. `jsonCopy` calls the getter again and can name it.
  }
}

class SmallCopier {
  #left: number
  #values = MAX_VALUES

  constructor(maxBytes: number) {
    this.#left = maxBytes
  }

  copy(value: unknown, depth: number): unknown {
    this.#values -= 1
    this.#left -= MAX_BYTES_PER_VALUE
    if (typeof value === 'string') this.#left -= value.length * MAX_BYTES_PER_CHARACTER
    if (this.#values < 0 || this.#left < 0) throw UNUSUAL
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        if (!Number.isFinite(value)) throw UNUSUAL
        return value === 0 ? 0 : value // JSON has no -0, so such a value would change.
      case 'object':
        return value === null ? null : this.#inside(value, depth + 1)
      default:
        throw UNUSUAL
    }
  }

  #inside(value: object, depth: number): unknown {
    if (depth > MAX_DEPTH || types.isProxy(value) || 'toJSON' in value) throw UNUSUAL
    if (Array.isArray(value)) return this.#list(value, depth)
    if (Object.getPrototypeOf(value) !== Object.prototype) throw UNUSUAL
    if (Object.getOwnPropertySymbols(value).length > 0) throw UNUSUAL
    const copied: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      if (key === '__proto__') throw UNUSUAL
      this.#left -= key.length * MAX_BYTES_PER_CHARACTER
      copied[key] = this.copy((value as Record<string, unknown>)[key], depth)
    }
    return copied
  }

  #list(list: readonly unknown[], depth: number): unknown {
    if (list.length > this.#values) throw UNUSUAL
    const copied: unknown[] = []
    for (let index = 0; index < list.length; index++) copied.push(this.copy(list[index], depth))
    return copied
  }
}
