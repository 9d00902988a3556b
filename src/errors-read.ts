import { inspect, types } from 'node:util'

/**
 * These functions read values that come from user code. A getter, a proxy's trap or a conversion may throw anything. So only this file may
 * read such values. No function here throws, whatever its argument.
 */

const LONGEST_SHOWN = 120
const MAX_SHOWN_PARTS = 1_000
const MAX_CHAIN = 8
const MAX_PARTS = 10
const MAX_FIELDS = 20
/** How many errors one message shows. Errors within errors would otherwise be ten times as many at each depth. */
const MAX_SHOWN_ERRORS = 30
const LONGEST_LINE = 1_000
/** How much of one message or stack is read. Strings of hundreds of megabytes can't be joined. */
const LONGEST_READ = 100_000

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

/** Returns the message of an error for people. If it is empty, uses the messages of its inner errors, its code, its cause or its fields. */
export function messageOf(thrown: unknown): string {
  return isError(thrown) ? summary(thrown, new Shown()) : describeThrown(thrown)
}

/** Returns `name: message` for an error; shows any other value as JSON or as Node does. */
export function headline(thrown: unknown): string {
  return lineOf(thrown, new Shown())
}

/** The default messages of `Promise.any` and `using`. They contain no reason. */
const SAYS_NOTHING = /^(?:All promises were rejected|An error was suppressed during disposal)\.?$/

/** Which errors a text shows already. An error may contain itself, or the same errors a million times. */
class Shown {
  #left = MAX_SHOWN_ERRORS
  readonly #open = new Set<object>()

  /** Counts one more error. Returns whether it may be shown. */
  next(): boolean {
    return this.#left-- > 0
  }

  /** Reads what an error contains. Returns `otherwise` if this would never end or is too deep. */
  within(error: object, read: () => string, otherwise: string): string {
    if (this.#open.has(error) || this.#open.size >= MAX_CHAIN) return otherwise
    this.#open.add(error)
    const text = read()
    this.#open.delete(error)
    return text
  }
}

function summary(error: Error, shown: Shown): string {
  const parts = readError(error)
  const message = parts.message.slice(0, LONGEST_READ)
  if (message !== '' && (parts.errorCount === 0 || !SAYS_NOTHING.test(message))) return message
  return shown.within(error, () => reasonOf(error, { ...parts, message }, shown), message)
}

/** Returns what an error says without a message of its own. */
function reasonOf(error: Error, { message, code, errors, errorCount, cause }: ErrorParts, shown: Shown): string {
  if (errorCount > 0) return `${message || `${errorCount} errors`}: ${partsText(errors, errorCount, shown)}`
  if (code !== undefined) return String(code)
  return cause === undefined ? fieldsText(error) : lineOf(cause, shown)
}

function lineOf(thrown: unknown, shown: Shown): string {
  if (!isError(thrown)) return describeThrown(thrown)
  const name = nameOf(thrown)
  const text = summary(thrown, shown)
  return text === '' ? name : `${name}: ${text.slice(0, LONGEST_LINE)}`
}

function partsText(errors: readonly unknown[], count: number, shown: Shown): string {
  const lines: string[] = []
  for (const part of errors) if (shown.next()) lines.push(lineOf(part, shown))
  return [...lines, ...(count > lines.length ? [`and ${count - lines.length} more`] : [])].join('; ')
}

/** Returns the class and the own fields of an error that says nothing else, such as `HttpError {"status":404}`. */
function fieldsText(error: Error): string {
  const names = safely(() => Object.keys(error).slice(0, MAX_FIELDS), [])
  const fields = names.map((name): [string, unknown] => [name, propertyOf(error, name)])
  const json =
    fields.length === 0 ? undefined : safely(() => shortJson(Object.fromEntries(fields), LONGEST_LINE), undefined)
  const name = classOf(error)
  return [name === nameOf(error) ? '' : name, json ?? ''].filter(Boolean).join(' ').slice(0, LONGEST_LINE)
}

/** Returns the stacks of an error, of its inner errors and of its causes. Values that are not errors are shown too. */
export function stackOf(thrown: unknown): string {
  return stackText(thrown, MAX_NESTED)
}

/** How many levels of parts of parts are described. */
const MAX_NESTED = 3

function stackText(thrown: unknown, deepest: number): string {
  if (thrown === undefined || thrown === null) return String(thrown)
  const texts: string[] = []
  let length = 0
  for (const link of chainOf(thrown)) {
    texts.push(linkText(link, deepest))
    length += texts.at(-1)?.length ?? 0
    if (length > LONGEST_READ) break
  }
  return texts.join('\nCaused by: ')
}

function linkText(link: unknown, deepest: number): string {
  if (!isError(link)) return describeThrown(link)
  const { message, stack, cause, errors, errorCount } = readError(link)
  const isBare = message === '' && errorCount === 0 && cause === undefined
  const own = (isBare ? bareStack(link, stack) : (stack ?? headline(link))).slice(0, LONGEST_READ)
  if (errorCount === 0 || deepest === 0) return own
  const parts: string[] = []
  let length = own.length
  for (const part of errors) {
    if (length > LONGEST_READ) break
    parts.push(`Part ${parts.length + 1} of ${errorCount}: ${stackText(part, deepest - 1)}`)
    length += parts.at(-1)?.length ?? 0
  }
  const more = errorCount > parts.length ? [`and ${errorCount - parts.length} more parts`] : []
  return [own, ...parts, ...more].join('\n')
}

/** Returns the stack of an error without message, with what it says instead in the first line. */
function bareStack(error: Error, stack: string | undefined): string {
  const end = stack?.indexOf('\n') ?? -1
  return `${headline(error)}${stack === undefined || end < 0 ? '' : stack.slice(end)}`
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
  return shownValue(value, LONGEST_SHOWN)
}

/** Describes a thrown value, or a cause, that is not an error. The text is longer than that of `describe`, because it is the only reason. */
export function describeThrown(value: unknown): string {
  return shownValue(value, LONGEST_LINE)
}

function shownValue(value: unknown, longest: number): string {
  if (typeof value === 'string') return JSON.stringify(cut(value, longest))
  if (typeof value === 'function') {
    const name = propertyOf(value, 'name')
    return `function ${(typeof name === 'string' && cut(name, longest)) || '(anonymous)'}`
  }
  if (!isObject(value)) return cut(String(value), longest)
  if (types.isNativeError(value)) return cut(propertyText(value) ?? tagOf(value), longest)
  return cut(objectText(value, longest) ?? tagOf(value), longest)
}

/** Returns an object as JSON. Undefined if that would show nothing useful, as for a `Response`, an `ErrorEvent` or a `Map`. */
function objectText(value: object, longest: number): string | undefined {
  const json = safely(() => shortJson(value, longest), undefined)
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
function shortJson(value: object, longest: number): string | undefined {
  let parts = 0
  const part = (_key: string, inner: unknown): unknown => {
    if (++parts > MAX_SHOWN_PARTS) throw new RangeError('too much to show')
    return typeof inner === 'string' ? cut(inner, longest) : inner
  }
  return JSON.stringify(value, part)
}

function cut(text: string, longest: number): string {
  return text.length > longest ? `${text.slice(0, longest - 3)}…` : text
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
