import { isError, propertyOf, readError, safely } from '../errors-read.ts'
import { describe, ERROR_CODES, type ErrorCode, isPikoError, PikoError } from '../errors.ts'

/** An error as plain data, which structured clone always accepts. */
export type TransferredError =
  | {
      readonly kind: 'error'
      /** The most specific built-in class of the error. The other side can create an error of this class again. */
      readonly base: string
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
      readonly code: string | number | undefined
      readonly cause: TransferredError | undefined
      readonly errors: readonly TransferredError[] | undefined
      readonly props: Readonly<Record<string, unknown>>
    }
  /** A thrown value that is not an `Error`. */
  | { readonly kind: 'value'; readonly value: unknown }

type ErrorData = Extract<TransferredError, { kind: 'error' }>

/**
 * The maximum depth of causes, and of errors in an `AggregateError`. Deeper ones are dropped. A nested error that contains itself is
 * dropped too.
 */
const DEEPEST = 16
/** How many errors are transferred with one. Each of them may contain others, so their number could grow tenfold at each depth. */
const MAX_ERRORS = 100
const MAX_PROPS = 50

const BASES: Readonly<Record<string, new (message: string) => Error>> = {
  TypeError,
  RangeError,
  SyntaxError,
  ReferenceError,
  URIError,
  EvalError,
}

const OWN_FIELDS = new Set(['name', 'message', 'stack', 'code', 'cause', 'errors'])

/**
 * Converts a thrown value to data: name, message, stack, code, causes, the errors of an `AggregateError`, and own enumerable properties
 * that can be cloned.
 */
export function serialiseError(thrown: unknown): TransferredError {
  return serialise(thrown, [], { left: MAX_ERRORS })
}

/**
 * Converts the data back to a thrown value. `PikoError` and built-in classes keep their class. An error of any other class becomes its most
 * specific built-in class with the same `name`. A value that is not an `Error` is unchanged.
 */
export function reviveError(data: TransferredError): unknown {
  if (data.kind === 'value') return data.value
  const cause = data.cause === undefined ? undefined : { cause: reviveError(data.cause) }
  const error = instance(data, cause)
  hide(error, 'stack', data.stack)
  if (error.name !== data.name) hide(error, 'name', data.name)
  if (cause !== undefined && !('cause' in error)) hide(error, 'cause', cause.cause)
  if (data.code !== undefined && !('code' in error)) Object.assign(error, { code: data.code })
  for (const [key, value] of Object.entries(data.props)) {
    if (!(key in error)) Object.assign(error, { [key]: value })
  }
  return error
}

function serialise(thrown: unknown, ancestors: readonly unknown[], budget: { left: number }): TransferredError {
  if (!isError(thrown)) return { kind: 'value', value: cloneable(thrown) ? thrown : describe(thrown) }
  budget.left -= 1
  const path = [...ancestors, thrown]
  const nested = (inner: unknown): TransferredError[] =>
    path.length >= DEEPEST || path.includes(inner) || budget.left <= 0 ? [] : [serialise(inner, path, budget)]
  const { name, message, stack, code, cause, errors, errorCount } = readError(thrown)
  const base = safely(() => baseOf(thrown), 'Error')
  const causes = cause === undefined ? [] : nested(cause)
  const parts = base === 'AggregateError' ? errors.flatMap(nested) : []
  const left = errorCount - parts.length
  const more: TransferredError[] = left > 0 ? [{ kind: 'value', value: `and ${left} more errors` }] : []
  return {
    kind: 'error',
    base,
    name,
    message,
    stack,
    code,
    cause: causes[0],
    errors: base === 'AggregateError' ? [...parts, ...more] : undefined,
    props: safely(() => cloneableProps(thrown), {}),
  }
}

function baseOf(error: Error): string {
  if (isPikoError(error)) return 'PikoError'
  if (error instanceof AggregateError) return 'AggregateError'
  if (error instanceof DOMException) return 'DOMException'
  const known = Object.entries(BASES).find(([, base]) => error instanceof base)?.[0]
  // An error from another realm is not an instance of these classes, so it is recognised by its name.
  const name = propertyOf(error, 'name')
  return known ?? (name === 'AggregateError' || (typeof name === 'string' && name in BASES) ? name : 'Error')
}

function instance(data: ErrorData, cause: { cause: unknown } | undefined): Error {
  if (data.base === 'PikoError' && isErrorCode(data.code)) {
    const { details } = data.props
    return new PikoError(data.code, data.message, {
      ...cause,
      ...(typeof details === 'object' && { details: details as Record<string, unknown> }),
    })
  }
  if (data.base === 'AggregateError') return new AggregateError((data.errors ?? []).map(reviveError), data.message)
  if (data.base === 'DOMException') return new DOMException(data.message, data.name)
  return new (BASES[data.base] ?? Error)(data.message)
}

function isErrorCode(code: unknown): code is ErrorCode {
  return ERROR_CODES.some((known) => known === code)
}

function cloneableProps(error: Error): Record<string, unknown> {
  const entries = Object.keys(error)
    .filter((key) => !OWN_FIELDS.has(key))
    .slice(0, MAX_PROPS)
    .map((key) => [key, propertyOf(error, key)] as const)
  return Object.fromEntries(entries.filter(([, value]) => cloneable(value)))
}

function cloneable(value: unknown): boolean {
  try {
    structuredClone(value)
    return true
  } catch {
    return false
  }
}

/** Sets a non-enumerable own property, as the JavaScript engine does, so that it does not appear when the error is printed or spread. */
function hide(error: Error, key: 'name' | 'stack' | 'cause', value: unknown): void {
  Object.defineProperty(error, key, { value, configurable: true, writable: true, enumerable: false })
}
