import { types } from 'node:util'
import { prototypeOf, readError, safely } from './errors-read.ts'

/** The maximum number of prototypes to read. A proxy's `getPrototypeOf` could return new ones forever. */
const MAX_PROTOTYPES = 100
const FIELDS = ['name', 'message', 'code', 'cause'] as const

/**
 * Returns an error that any code can read safely: `name` and `message` are strings, and no field is a getter. A safe error is returned
 * unchanged; otherwise the result is a replacement of the same class with the readable parts.
 */
export function readable(error: Error): Error {
  return safely(() => isReadable(error), false) ? error : standInFor(error)
}

function isReadable(error: Error): boolean {
  if (types.isProxy(error) || typeof error.name !== 'string' || typeof error.message !== 'string') return false
  for (const field of FIELDS) if (isAccessor(error, field)) return false
  const { stack } = error
  return stack === undefined || typeof stack === 'string'
}

function isAccessor(error: object, field: string): boolean {
  let owner: object | null = error
  for (let depth = 0; owner !== null && depth < MAX_PROTOTYPES; depth++) {
    if (types.isProxy(owner)) return true
    const property = Object.getOwnPropertyDescriptor(owner, field)
    // The getters of `DOMException` are built in, so they are safe.
    if (property) return property.get !== undefined && owner !== DOMException.prototype
    owner = prototypeOf(owner)
  }
  return owner !== null
}

function standInFor(error: Error): Error {
  const { name, message, stack, code, cause } = readError(error)
  const standIn = new Error(message)
  const prototype = safely(() => plainPrototype(error), undefined)
  if (prototype) safely(() => Reflect.setPrototypeOf(standIn, prototype), false)
  for (const [key, value] of ownValues(error)) define(standIn, key, value, true)
  for (const [key, value] of Object.entries({ name, message, code, cause }))
    if (value !== undefined) define(standIn, key, value, false)
  define(standIn, 'stack', stack ?? `${name}: ${message}`, false)
  return standIn
}

/** Returns the prototype for the replacement of an error, so that `instanceof` works. Undefined if the chain contains a proxy. */
function plainPrototype(error: object): object | undefined {
  if (types.isProxy(error)) return undefined
  const own = prototypeOf(error)
  let link = own
  for (let depth = 0; link !== null && depth < MAX_PROTOTYPES; depth++) {
    if (types.isProxy(link)) return undefined
    link = prototypeOf(link)
  }
  return own ?? undefined
}

/** Returns the error's own properties that are not getters. */
function ownValues(error: object): [PropertyKey, unknown][] {
  if (types.isProxy(error)) return []
  const keys = safely(() => Reflect.ownKeys(error).slice(0, 50), [])
  return keys.flatMap((key): [PropertyKey, unknown][] => {
    const property = safely(() => Object.getOwnPropertyDescriptor(error, key), undefined)
    return property && 'value' in property ? [[key, property.value]] : []
  })
}

function define(error: Error, key: PropertyKey, value: unknown, enumerable: boolean): void {
  Object.defineProperty(error, key, { value, enumerable, configurable: true, writable: true })
}
