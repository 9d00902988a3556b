import { isError, isObject, messageOf, propertyOf, watchStray } from '../errors-read.ts'
import { describe } from '../errors.ts'

/** The part of a zod schema that is used here. */
interface Schema {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: unknown }
    | { readonly success: false; readonly error: { readonly issues: readonly SchemaIssue[] } }
}

/** What a schema has against a value. */
export interface SchemaIssue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

export type SchemaAnswer =
  | { readonly data: unknown; readonly issues?: never }
  /** `cause`: what the schema threw. */
  | { readonly issues: readonly SchemaIssue[]; readonly cause?: unknown }

/** Asks a job's schema. What it throws is an issue too: a check of the user's own may, and an asynchronous one always does. */
export function checkedBy(schema: object, value: unknown): SchemaAnswer {
  const answer = tried(schema as Schema, value)
  if ('thrown' in answer) return { issues: [issueOf(schema, value, answer.thrown)], cause: answer.thrown }
  if ('problem' in answer) return { issues: [{ path: [], message: answer.problem }] }
  return answer.success ? { data: answer.data } : { issues: answer.error.issues }
}

type Tried = ReturnType<Schema['safeParse']> | { readonly thrown: unknown } | { readonly problem: string }

function tried(schema: Schema, value: unknown): Tried {
  try {
    const answer: unknown = schema.safeParse(value)
    return isAnswer(answer) ? answer : { problem: noAnswer(answer) }
  } catch (thrown) {
    return { thrown }
  }
}

/** Anything with a `safeParse` passes for a schema. */
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

function issueOf(schema: object, value: unknown, thrown: unknown): SchemaIssue {
  const path = pathOfThrower(schema, value)
  if (isAsync(thrown))
    return {
      path,
      message: 'the schema has an asynchronous refinement or transform here; a config is checked synchronously',
    }
  return { path, message: `the schema throws here: ${messageOf(thrown)}` }
}

/** zod throws this of a schema that must be parsed asynchronously. */
function isAsync(thrown: unknown): boolean {
  return (
    isError(thrown) &&
    (propertyOf(propertyOf(thrown, 'constructor'), 'name') === '$ZodAsyncError' ||
      /synchronous parse/.test(messageOf(thrown)))
  )
}

/** zod does not say where: the parts of the schema are asked for themselves, from the outside inwards. */
function pathOfThrower(schema: object, value: unknown): PropertyKey[] {
  for (const part of partsOf(schema, value)) {
    if ('thrown' in tried(part.schema, part.value)) return [...part.path, ...pathOfThrower(part.schema, part.value)]
  }
  return []
}

interface Part {
  readonly path: readonly PropertyKey[]
  readonly schema: Schema
  readonly value: unknown
}

/** The schemas of a value's fields and elements; the schema that another one wraps stands at the same place. */
function partsOf(schema: object, value: unknown): Part[] {
  const { def = {} } = schema as { readonly def?: Record<string, unknown> }
  const wrapped = [def['innerType'], def['in']].filter(isSchema).map((inner) => ({ path: [], schema: inner, value }))
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
  return [...wrapped, ...fields, ...elements]
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && 'safeParse' in value
}
