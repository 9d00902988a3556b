import { types } from 'node:util'
import { isError } from '../errors-read.ts'
import { describe } from '../errors.ts'

export type JsonPath = readonly (string | number)[]

/** A remark about a part of a value. */
export interface JsonRemark {
  readonly path: JsonPath
  readonly text: string
}

/** A copy of a value, as if it was parsed from its JSON text. */
export interface JsonCopy {
  readonly value: unknown
  /** Values that JSON would lose or replace. The copy does not contain them. */
  readonly problems: readonly JsonRemark[]
  /** Objects with a `toJSON`: for example, a `Date` becomes a string in the copy. The remark names the kind of object. */
  readonly converted: readonly JsonRemark[]
}

/** The maximum depth, because JSON parsers and schemas call themselves for each level. */
const MAX_DEPTH = 500
const MAX_PROBLEMS = 20
const MAX_CONVERTED = 1_000
/** The minimum size of a list element: a digit and a comma. */
const MIN_ELEMENT_BYTES = 2

const LEFT_OUT = Symbol('left out')

/**
 * Copies a value as `JSON.parse(JSON.stringify(value))` does, but reports what JSON would silently lose or replace. For example, `NaN`
 * would become null, and a `Map` would become `{}`. Each property is read only once, because a getter may return another value later.
 * Undefined properties are left out, as in JSON. Never throws.
 *
 * @param maxBytes a value that certainly exceeds this size is refused before it is read completely
 */
export function jsonCopy(value: unknown, maxBytes = Infinity): JsonCopy {
  const copier = new Copier(maxBytes)
  return { value: copier.root(value), problems: copier.problems, converted: copier.converted }
}

class Copier {
  readonly problems: JsonRemark[] = []
  readonly converted: JsonRemark[] = []
  readonly #maxBytes: number
  readonly #path: (string | number)[] = []
  readonly #above: object[] = []
  #minBytes = 0
  #isTooLarge = false

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  root(value: unknown): unknown {
    const copied = this.#needed(() => this.copy(value, ''))
    return copied === LEFT_OUT ? undefined : copied
  }

  copy(value: unknown, key: string): unknown {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        return this.#number(value)
      case 'undefined':
        return LEFT_OUT
      case 'symbol':
        return this.#refuse('is a symbol, which JSON leaves out')
      default:
        return value === null ? null : this.#guarded(value as object | bigint, key)
    }
  }

  /** Copies a value, and refuses it if reading throws: getters, proxies and `toJSON` are user code. */
  #guarded(value: object | bigint, key: string): unknown {
    const depth = this.#path.length
    const above = this.#above.length
    try {
      return this.#unlessCustom(value, key)
    } catch (error) {
      this.#path.length = depth
      this.#above.length = above
      return this.#refuse(`can't be read: ${reasonOf(error)}`)
    }
  }

  #unlessCustom(value: object | bigint, key: string): unknown {
    const { toJSON } = value as { readonly toJSON?: unknown }
    if (typeof toJSON !== 'function') return this.#plain(value)
    const chosen: unknown = Reflect.apply(toJSON, value, [key])
    if (types.isDate(value) && chosen === null) return this.#refuse('is an invalid Date, which JSON turns into null')
    if (this.converted.length < MAX_CONVERTED)
      this.converted.push({ path: [...this.#path], text: typeof value === 'bigint' ? 'BigInt' : kindOf(value) })
    if (typeof chosen === 'object' && chosen !== null) return this.#plain(chosen)
    return typeof chosen === 'function' || typeof chosen === 'bigint' ? this.#plain(chosen) : this.copy(chosen, key)
  }

  #plain(value: object | bigint): unknown {
    if (typeof value === 'bigint')
      return this.#refuse(`is the BigInt ${value}, which JSON can't represent: pass it as a string`)
    if (typeof value === 'function') return this.#refuse('is a function, which JSON leaves out')
    if (types.isBoxedPrimitive(value)) return this.copy(value.valueOf(), '')
    if (this.#above.includes(value))
      return this.#refuse("refers to an object that contains it, which JSON can't represent")
    if (this.#above.length >= MAX_DEPTH) return this.#refuse(`is nested deeper than ${MAX_DEPTH} levels`)
    const opaque = opaqueKind(value)
    if (opaque !== undefined) return this.#refuse(opaque)
    this.#above.push(value)
    const copied = Array.isArray(value) ? this.#list(value) : this.#record(value)
    this.#above.pop()
    return copied
  }

  #list(list: readonly unknown[]): unknown {
    const { length } = list
    if (length * MIN_ELEMENT_BYTES > this.#maxBytes) return this.#tooLarge()
    const copied: unknown[] = []
    for (let index = 0; index < length && this.#goesOn; index += 1) {
      this.#path.push(index)
      const element = this.#needed(() => this.#child(list, index))
      copied.push(element === LEFT_OUT ? null : element)
      this.#path.pop()
    }
    return copied
  }

  #record(record: object): unknown {
    const keys = Object.keys(record)
    if (keys.length === 0 && !isPlain(record))
      return this.#refuse(`is a ${kindOf(record)}, of which JSON keeps nothing`)
    const copied: Record<string, unknown> = {}
    for (const key of keys) {
      if (!this.#goesOn) break
      this.#path.push(key)
      const value = this.#child(record, key)
      if (value !== LEFT_OUT) define(copied, key, value)
      this.#path.pop()
    }
    for (const key of Object.getOwnPropertySymbols(record)) {
      if (Object.prototype.propertyIsEnumerable.call(record, key))
        this.#refuse(`has the key ${String(key)}, which JSON leaves out`)
    }
    return copied
  }

  #child(parent: object, key: string | number): unknown {
    let value: unknown
    try {
      value = (parent as Record<string | number, unknown>)[key]
    } catch (error) {
      return this.#refuse(`can't be read: ${reasonOf(error)}`)
    }
    const copied = this.copy(value, String(key))
    if (copied === LEFT_OUT) return LEFT_OUT
    // If several places refer to an object, JSON repeats it at each of them.
    this.#minBytes += MIN_ELEMENT_BYTES
    return this.#minBytes > this.#maxBytes ? this.#tooLarge() : copied
  }

  /** Copies a value where JSON needs one. If JSON would leave the value out, reports that, unless it is already reported. */
  #needed(copy: () => unknown): unknown {
    const { length } = this.problems
    const copied = copy()
    return copied === LEFT_OUT && this.problems.length === length
      ? this.#refuse('is undefined, which JSON turns into null')
      : copied
  }

  #tooLarge(): unknown {
    const refused = this.#refuse(
      `takes more than ${this.#maxBytes} bytes of JSON: store the data elsewhere and pass its location`,
    )
    this.#isTooLarge = true
    return refused
  }

  #number(value: number): unknown {
    if (Number.isFinite(value)) return value === 0 ? 0 : value
    return this.#refuse(`is ${value}, which JSON turns into null`)
  }

  get #goesOn(): boolean {
    return this.problems.length < MAX_PROBLEMS && !this.#isTooLarge
  }

  #refuse(text: string): unknown {
    if (this.#goesOn) this.problems.push({ path: [...this.#path], text })
    return LEFT_OUT
  }
}

/** Sets a property. An assignment to `__proto__` would set the prototype, but in JSON it is an ordinary key. */
function define(record: Record<string, unknown>, key: string, value: unknown): void {
  if (key !== '__proto__') record[key] = value
  else Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true })
}

/** Returns the problem of an object whose content is not in its properties, such as a `Map`. */
function opaqueKind(value: object): string | undefined {
  if (types.isNativeError(value)) return 'is an Error, of which JSON keeps no message: pass the message'
  if (types.isMap(value)) return 'is a Map, of which JSON keeps nothing: pass Object.fromEntries(map)'
  if (types.isSet(value)) return 'is a Set, of which JSON keeps nothing: pass [...set]'
  if (types.isArrayBufferView(value) || types.isAnyArrayBuffer(value))
    return `is a ${kindOf(value)}, which JSON can't represent: pass a list, or base64 text`
  if (types.isPromise(value)) return 'is a Promise, of which JSON keeps nothing: await it'
  if (types.isRegExp(value)) return 'is a RegExp, of which JSON keeps nothing: pass its source'
  return undefined
}

/** Whether the value is a plain object, even one from another realm. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** The name of the value's class, or the kind of object that it is. */
export function kindOf(value: object): string {
  const name: unknown = (value.constructor as { readonly name?: unknown } | undefined)?.name
  return typeof name === 'string' && name !== '' ? name : Object.prototype.toString.call(value).slice(8, -1)
}

function reasonOf(error: unknown): string {
  try {
    return isError(error) ? error.message : describe(error)
  } catch {
    return 'it throws'
  }
}

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** Formats a path in the way code does: `config.pages[3].first`. */
export function pathText(root: string, path: readonly PropertyKey[]): string {
  const steps = path.map((key) => {
    if (typeof key === 'number') return `[${key}]`
    return typeof key === 'string' && !IDENTIFIER.test(key) ? `[${JSON.stringify(key)}]` : `.${String(key)}`
  })
  return root + steps.join('')
}
