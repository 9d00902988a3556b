import { types } from 'node:util'
import { isError, isObject, messageOf, propertyOf, safely, watchStray } from '../../errors-read.ts'
import { describe } from '../../errors.ts'
import { withoutStrays } from '../../strays.ts'

/** The part of a zod schema that Piko uses. */
interface Schema {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: unknown }
    | { readonly success: false; readonly error: { readonly issues: readonly SchemaIssue[] } }
}

/** A problem that a schema finds in a value. */
export interface SchemaIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
  /** The keys that a strict schema does not know, if this is the problem. */
  readonly unknownKeys?: readonly string[]
}

export type SchemaAnswer =
  | { readonly data: unknown; readonly issues?: never }
  /** `cause`: the error that the schema threw. */
  | { readonly issues: readonly SchemaIssue[]; readonly cause?: unknown }

/**
 * Checks a value with a job's schema. If the schema throws, the error is returned as an issue: a user's check may throw, and an
 * asynchronous one always does.
 */
export function checkedBy(schema: object, value: unknown): SchemaAnswer {
  const answer = tried(schema as Schema, value)
  if ('thrown' in answer) return { issues: [issueOf(schema, value, answer)], cause: answer.thrown }
  if ('problem' in answer) return { issues: [{ path: [], message: answer.problem }] }
  return answer.success ? { data: answer.data } : { issues: answer.error.issues }
}

type Tried =
  | ReturnType<Schema['safeParse']>
  | { readonly thrown: unknown; readonly isAsync: boolean }
  | { readonly problem: string }

function tried(schema: Schema, value: unknown): Tried {
  return withoutStrays(
    (hasMade) => asked(schema, value, hasMade),
    (answer) => !('success' in answer) || !answer.success,
  )
}

function asked(schema: Schema, value: unknown, hasMade: () => boolean): Tried {
  try {
    const answer: unknown = schema.safeParse(value)
    if (!isAnswer(answer)) return { problem: noAnswer(answer) }
    if (!answer.success) return { success: false, error: { issues: plainIssues(answer.error.issues) } }
    const { data } = answer
    const path = hasMade() ? pathOfPromise(data, MAX_DEPTH) : undefined
    return path ? { success: false, error: { issues: [{ path, message: PROMISED }] } } : { success: true, data }
  } catch (thrown) {
    // If a field's transform returns a promise, zod fails before it reports the problem.
    return { thrown, isAsync: isAsyncError(thrown) || (hasMade() && propertyOf(thrown, 'name') === 'TypeError') }
  }
}

/** The maximum number of problems to report for one value. */
const MAX_ISSUES = 100

/** Copies the issues of a schema. Any object may be used as a schema, so they may contain anything. */
function plainIssues(issues: readonly unknown[]): SchemaIssue[] {
  const found = safely(() => Array.from({ length: Math.min(issues.length, MAX_ISSUES) }, (_, index) => index), [0])
  const copied = found.map((index): SchemaIssue => {
    const issue = propertyOf(issues, index)
    const message = propertyOf(issue, 'message')
    return {
      path: safely(() => Array.from(propertyOf(issue, 'path') as PropertyKey[], plainKey), []),
      message:
        typeof message === 'string' ? message : `the schema reports a problem without a message: ${describe(issue)}`,
      ...unknownKeysOf(issue),
    }
  })
  return copied.length > 0 ? copied : [{ path: [], message: 'the schema refuses it without a reason' }]
}

function unknownKeysOf(issue: unknown): Pick<SchemaIssue, 'unknownKeys'> {
  if (propertyOf(issue, 'code') !== 'unrecognized_keys') return {}
  const keys = safely<readonly unknown[], readonly unknown[]>(
    () => Array.from(propertyOf(issue, 'keys') as unknown[]),
    [],
  )
  return { unknownKeys: keys.filter((key) => typeof key === 'string').slice(0, MAX_ISSUES) }
}

function plainKey(key: unknown): PropertyKey {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'symbol' ? key : describe(key)
}

const PROMISED = 'the schema turns this into a promise; a config is checked synchronously'

/** Finds a promise that a default has put into a value, because zod does not check defaults. */
function pathOfPromise(value: unknown, deepest: number): PropertyKey[] | undefined {
  if (types.isPromise(value)) return []
  if (typeof value !== 'object' || value === null || deepest === 0) return undefined
  for (const [key, part] of Object.entries(value)) {
    const path = pathOfPromise(part, deepest - 1)
    if (path) return [Array.isArray(value) ? Number(key) : key, ...path]
  }
  return undefined
}

/** Whether the answer has the form of zod's. Any object with a `safeParse` is accepted as a schema, so its answer may be anything. */
function isAnswer(answer: unknown): answer is ReturnType<Schema['safeParse']> {
  const success = propertyOf(answer, 'success')
  if (success === true) return 'data' in (answer as object)
  return success === false && Array.isArray(propertyOf(propertyOf(answer, 'error'), 'issues'))
}

function noAnswer(answer: unknown): string {
  watchStray(answer)
  const what = isObject(answer) && typeof propertyOf(answer, 'then') === 'function' ? 'a promise' : describe(answer)
  return `safeParse of the schema returned ${what}; expected { success: true, data } or { success: false, error }`
}

function issueOf(
  schema: object,
  value: unknown,
  { thrown, isAsync }: { readonly thrown: unknown; readonly isAsync: boolean },
): SchemaIssue {
  const path = pathOfThrower(schema, value)
  if (isAsync)
    return {
      path,
      message:
        'the schema has an asynchronous refinement or transform here; a config is checked synchronously, so check this in the handler',
    }
  return { path, message: `the schema throws here: ${messageOf(thrown)}` }
}

/** Whether this is zod's error for a schema that must be parsed asynchronously. */
function isAsyncError(thrown: unknown): boolean {
  return (
    isError(thrown) &&
    (propertyOf(propertyOf(thrown, 'constructor'), 'name') === '$ZodAsyncError' ||
      /synchronous parse/.test(messageOf(thrown)))
  )
}

/**
 * Finds the path of the part of a schema that throws. zod does not report this path, so the function calls the parts one by one, from the
 * outside to the inside.
 */
function pathOfThrower(schema: object, value: unknown, deepest = MAX_DEPTH): PropertyKey[] {
  if (deepest === 0) return []
  for (const part of safely(() => partsOf(schema, value), [])) {
    if ('thrown' in tried(part.schema, part.value)) {
      return [...part.path, ...pathOfThrower(part.schema, part.value, deepest - 1)]
    }
  }
  return []
}

/** Lazy schemas may refer to themselves. */
const MAX_DEPTH = 50

interface Part {
  readonly path: readonly PropertyKey[]
  readonly schema: Schema
  readonly value: unknown
}

/** Returns the schemas of a value's fields and elements. If a schema wraps or joins others, these have the same path. */
function partsOf(schema: object, value: unknown): Part[] {
  const { def = {} } = schema as { readonly def?: Record<string, unknown> }
  const lazy = typeof def['getter'] === 'function' ? (def['getter'] as () => unknown)() : undefined
  const joined = [def['innerType'], def['in'], def['left'], def['right'], lazy, ...listOf(def['options'])]
  const wrapped = joined.filter(isSchema).map((inner) => ({ path: [], schema: inner, value }))
  if (typeof value !== 'object' || value === null) return wrapped
  const fields = Object.entries(def['shape'] ?? {}).flatMap(([key, field]: [string, unknown]) =>
    isSchema(field) ? { path: [key], schema: field, value: (value as Record<string, unknown>)[key] } : [],
  )
  const each = [def['element'], def['valueType']].filter(isSchema)
  const elements = each.flatMap((element) =>
    Object.entries(value).map(([key, part]: [string, unknown]) => ({
      path: [Array.isArray(value) ? Number(key) : key],
      schema: element,
      value: part,
    })),
  )
  const places = listOf(def['items']).flatMap((place, index) =>
    isSchema(place) ? { path: [index], schema: place, value: (value as unknown[])[index] } : [],
  )
  return [...fields, ...places, ...elements, ...wrapped]
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && 'safeParse' in value
}
