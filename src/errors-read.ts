import { inspect, types } from 'node:util'

/**
 * These functions read values that come from user code. A getter, a proxy's trap or a conversion may throw anything. So only this file may
 * read such values. No function here throws, whatever its argument.
 */

const LONGEST_SHOWN = 120
const MAX_SHOWN_PARTS = 1_000
const MAX_CHAIN = 8
const MAX_PARTS = 10
/** The maximum number of prototypes to read. A proxy's `getPrototypeOf` could return new ones forever. */
const MAX_PROTOTYPES = 100

/** Returns the result of `read`, or `otherwise` if it throws. */
export function safely<T, F>(read: () => T, otherwise: F): T | F {
  try {
    return read()
  } catch {
    return otherwise
  }
}

/** Whether the value is an object or a function. Only these can have getters and traps. */
export function isObject(value: unknown): value is object {
  return (typeof value === 'object' && value !== null) || typeof value === 'function'
}

/** Whether the value is a whole number that JavaScript can represent exactly. */
export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value)
}

/** Whether the value is one of the given values. */
export function isOneOf<T>(values: readonly T[], value: unknown): value is T {
  return values.some((one) => one === value)
}

/** Returns the prototype of an object with a safe type, because TypeScript's own type is `any`. */
export function prototypeOf(value: object): object | null {
  return Object.getPrototypeOf(value) as object | null
}

/** Reads a property of any value. Returns undefined if it is missing or reading it throws. */
export function propertyOf(value: unknown, key: PropertyKey): unknown {
  return isObject(value) ? safely(() => Reflect.get(value, key) as unknown, undefined) : undefined
}

/** Whether the value is an error. Also recognises errors from another realm (`vm`, Jest), even with a changed prototype. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || safely(() => value instanceof Error, false)
}

/** The parts of an error. The strings may have any length, the values any type. */
export interface ErrorParts {
  readonly name: string
  readonly message: string
  readonly code: string | number | undefined
  readonly stack: string | undefined
  /** The cause; undefined if there is none. */
  readonly cause: unknown
  /** The first errors of an `AggregateError`. */
  readonly errors: readonly unknown[]
  /** How many errors an `AggregateError` contains. */
  readonly errorCount: number
}

/** Reads the parts of an error. If a field can't be read, its text says so. */
export function readError(error: object): ErrorParts {
  const code = propertyOf(error, 'code')
  const stack = propertyOf(error, 'stack')
  const [errors, errorCount] = partsOf(error)
  return {
    name: nameOf(error),
    message: textOf(error, 'message') ?? '',
    code: typeof code === 'string' || typeof code === 'number' ? code : undefined,
    stack: typeof stack === 'string' ? stack : undefined,
    cause: propertyOf(error, 'cause'),
    errors,
    errorCount,
  }
}

/** Returns an error and its causes, outermost first, at most 8. A circular chain ends before it repeats. */
export function chainOf(thrown: unknown): unknown[] {
  const chain: unknown[] = []
  let link = thrown
  while (link !== undefined && link !== null && chain.length < MAX_CHAIN && !chain.includes(link)) {
    chain.push(link)
    link = isError(link) ? propertyOf(link, 'cause') : undefined
  }
  return chain
}

/** Returns the message of an error for people. If it is empty, uses the messages of its inner errors, its code or its cause. */
export function messageOf(thrown: unknown): string {
  return summary(thrown, MAX_CHAIN)
}

/** Returns `name: message` for an error; shows any other value as {@link describe} does. */
export function headline(thrown: unknown): string {
  return lineOf(thrown, MAX_CHAIN)
}

/** The default messages of `Promise.any` and `using`. They contain no reason. */
const SAYS_NOTHING = new Set(['All promises were rejected', 'An error was suppressed during disposal.'])

function summary(thrown: unknown, deepest: number): string {
  if (!isError(thrown)) return describe(thrown)
  const { message, code, errorCount, cause } = readError(thrown)
  if (message !== '' && (errorCount === 0 || !SAYS_NOTHING.has(message))) return message
  if (deepest === 0) return message
  if (errorCount > 0) return `${message || `${errorCount} errors`}: ${partsText(thrown, deepest - 1)}`
  if (code !== undefined) return String(code)
  return cause === undefined ? '' : lineOf(cause, deepest - 1)
}

function lineOf(thrown: unknown, deepest: number): string {
  if (!isError(thrown)) return describe(thrown)
  const name = nameOf(thrown)
  const text = summary(thrown, deepest)
  return text === '' ? name : `${name}: ${text.slice(0, 1_000)}`
}

function partsText(error: object, deepest: number): string {
  const [errors, count] = partsOf(error)
  const shown = errors.map((part) => lineOf(part, deepest))
  return [...shown, ...(count > errors.length ? [`and ${count - errors.length} more`] : [])].join('; ')
}

/** Returns the stacks of an error, of its inner errors and of its causes. Values that are not errors are shown too. */
export function stackOf(thrown: unknown): string {
  return stackText(thrown, MAX_CHAIN)
}

function stackText(thrown: unknown, deepest: number): string {
  return chainOf(thrown)
    .map((link) => {
      if (!isError(link)) return describe(link)
      const { stack, errors, errorCount } = readError(link)
      const own = stack ?? headline(link)
      if (errorCount === 0 || deepest === 0) return own
      const parts = errors.map((part, index) => `Part ${index + 1} of ${errorCount}: ${stackText(part, 0)}`)
      const more = errorCount > errors.length ? [`and ${errorCount - errors.length} more parts`] : []
      return [own, ...parts, ...more].join('\n')
    })
    .join('\nCaused by: ')
}

function nameOf(error: object): string {
  const name = textOf(error, 'name')
  return name === undefined || name === '' ? 'Error' : name
}

function textOf(error: object, key: 'name' | 'message'): string | undefined {
  try {
    const value: unknown = Reflect.get(error, key)
    return value === undefined || typeof value === 'string' ? value : describe(value)
  } catch (thrown) {
    return `(its ${key} can't be read: reading it threw ${isError(thrown) ? plainText(thrown) : describe(thrown)})`
  }
}

/**
 * Returns the message of an error that was thrown while another error was read. Reads nothing else, because that could throw again, and so
 * on without end.
 */
function plainText(error: object): string {
  const message = propertyOf(error, 'message')
  return typeof message === 'string' ? describe(message) : 'an error'
}

function partsOf(error: object): readonly [readonly unknown[], number] {
  const errors = propertyOf(error, 'errors')
  if (!safely(() => Array.isArray(errors), false)) {
    const both = propertyOf(error, 'name') === 'SuppressedError' ? ['error', 'suppressed'] : []
    return [both.map((key) => propertyOf(error, key)), both.length]
  }
  const length = propertyOf(errors, 'length')
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) return [[], 0]
  const first = Array.from({ length: Math.min(length, MAX_PARTS) }, (_, index) => propertyOf(errors, index))
  return [first, length]
}

/** Describes any value in a short string for an error message. */
export function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(cut(value))
  if (typeof value === 'bigint') return cut(String(value))
  if (typeof value === 'function') {
    const name = propertyOf(value, 'name')
    return `function ${(typeof name === 'string' && cut(name)) || '(anonymous)'}`
  }
  if (!isObject(value)) return String(value)
  if (types.isNativeError(value)) return cut(propertyText(value) ?? tagOf(value))
  return cut(objectText(value) ?? tagOf(value))
}

/** Returns an object as JSON. Undefined if that would show nothing useful, as for a `Response`, an `ErrorEvent` or a `Map`. */
function objectText(value: object): string | undefined {
  const json = safely(() => shortJson(value), undefined)
  const message = propertyOf(value, 'message')
  if (typeof message === 'string' && message !== '' && !safely(() => Object.hasOwn(value, 'message'), true))
    return `${classOf(value)}: ${message}`
  if (json !== 'null' && (json !== '{}' || isPlain(value))) return json
  return safely(() => inspect(value, SHORT), undefined) ?? json
}

const SHORT = { depth: 1, breakLength: Infinity, compact: true, maxArrayLength: 10, maxStringLength: 200 } as const

function classOf(value: object): string {
  const name = propertyOf(propertyOf(value, 'constructor'), 'name')
  return typeof name === 'string' && name !== '' ? name : tagOf(value)
}

function isPlain(value: object): boolean {
  const prototype: unknown = safely(() => Reflect.getPrototypeOf(value), null)
  return prototype === null || prototype === Object.prototype
}

/** Returns the properties of an error as text. JSON alone would not show its message. */
function propertyText(error: object): string | undefined {
  const message = propertyOf(error, 'message')
  const name = propertyOf(error, 'name')
  return typeof message === 'string' && typeof name === 'string' ? `${name}: ${message}` : undefined
}

function tagOf(value: object): string {
  return (
    safely(() => Object.prototype.toString.call(value), undefined) ??
    safely(() => inspect(value, { depth: 0, customInspect: false, getters: false, showProxy: true }), undefined) ??
    "a value that can't be read"
  )
}

/** Converts an object to JSON. Throws if the object has too many parts, because people see only the start of the text. */
function shortJson(value: object): string | undefined {
  let parts = 0
  const part = (_key: string, inner: unknown): unknown => {
    if (++parts > MAX_SHOWN_PARTS) throw new RangeError('too much to show')
    return typeof inner === 'string' ? cut(inner) : inner
  }
  return JSON.stringify(value, part)
}

function cut(text: string): string {
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN - 3)}…` : text
}

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

/** Handles the rejection of a promise that nothing awaits; unhandled, it would end the process. */
export function watchStray(value: unknown, onRejected: (reason: unknown) => void = () => {}): void {
  if (types.isPromise(value)) void settled(value, onRejected)
}

async function settled(promise: Promise<unknown>, onRejected: (reason: unknown) => void): Promise<void> {
  try {
    await promise
  } catch (reason) {
    safely(() => onRejected(reason), undefined)
  }
}
