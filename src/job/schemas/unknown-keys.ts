import { describe, isObject, propertyOf, safely } from '../../errors-read.ts'
import { nearestName } from '../../options.ts'
import type { SchemaAnswer, SchemaIssue } from './schema-check.ts'

/** How deep to search, because a lazy schema may refer to itself. */
const MAX_DEPTH = 20
const MAX_WARNINGS = 20

/** Adds a suggestion to a strict schema's problem: the key that was probably meant. */
export function withHints(schema: object, answer: SchemaAnswer): SchemaAnswer {
  if (!answer.issues) return answer
  return { ...answer, issues: answer.issues.map((issue) => safely(() => withHint(schema, issue), issue)) }
}

function withHint(schema: object, issue: SchemaIssue): SchemaIssue {
  const shape = issue.unknownKeys && shapeAt(schema, issue.path)
  if (!issue.unknownKeys || !shape) return issue
  const hints = issue.unknownKeys.flatMap((key) => {
    const nearest = nearestName(key, Object.keys(shape))
    return nearest === undefined ? [] : `did you mean "${nearest}"?`
  })
  return hints.length === 0 ? issue : { path: issue.path, message: `${issue.message}, ${hints.join(' ')}` }
}

/** Returns a sentence for each key of a config that the schema does not know and leaves out. */
export function unknownKeys(schema: object | undefined, config: unknown): string[] {
  return schema ? safely(() => found(schema, config, [], MAX_DEPTH).slice(0, MAX_WARNINGS), []) : []
}

function found(schema: object, value: unknown, path: readonly string[], depth: number): string[] {
  const shape = shapeOf(schema)
  if (!shape || !isObject(value) || Array.isArray(value) || depth === 0) return []
  const known = Object.keys(shape)
  return Object.entries(value).flatMap(([key, part]) => {
    const field = Object.hasOwn(shape, key) ? shape[key] : undefined
    if (isObject(field)) return found(field, part, [...path, key], depth - 1)
    if (hasOthers(schema)) return []
    const nearest = nearestName(key, known)
    const hint =
      nearest === undefined ? `; the schema has ${known.join(', ') || 'no keys'}` : `, did you mean "${nearest}"?`
    return `unknown key ${describe([...path, key].join('.'))} is left out${hint}`
  })
}

function shapeAt(schema: object, path: readonly PropertyKey[]): Readonly<Record<string, unknown>> | undefined {
  const [first, ...rest] = path
  const shape = shapeOf(schema)
  if (first === undefined) return shape
  const field = shape?.[String(first)]
  return isObject(field) ? shapeAt(field, rest) : undefined
}

/** Returns the fields of an object schema. The schema may be optional or have a default. */
function shapeOf(schema: object): Readonly<Record<string, unknown>> | undefined {
  const definition = objectDefinition(schema, MAX_DEPTH)
  const shape = propertyOf(definition, 'shape')
  return isObject(shape) ? (shape as Readonly<Record<string, unknown>>) : undefined
}

/** Whether the schema accepts keys that it does not declare. */
function hasOthers(schema: object): boolean {
  return propertyOf(objectDefinition(schema, MAX_DEPTH), 'catchall') !== undefined
}

function objectDefinition(schema: unknown, depth: number): unknown {
  const definition = propertyOf(schema, 'def')
  if (propertyOf(definition, 'shape') !== undefined || depth === 0) return definition
  const inner = propertyOf(definition, 'innerType') ?? propertyOf(definition, 'in')
  return inner === undefined ? undefined : objectDefinition(inner, depth - 1)
}
