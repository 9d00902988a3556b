import { propertyOf, safely } from '../../errors-read.ts'

/** The kind of a column's values. It does not depend on the database or the file format. */
export type ColumnKind =
  | { readonly is: 'text'; readonly maxLength?: number; readonly format?: 'uuid' | 'date' }
  | { readonly is: 'integer'; readonly bits: 32 | 64 }
  | { readonly is: 'double' }
  | { readonly is: 'boolean' }
  | { readonly is: 'instant' }
  | { readonly is: 'json' }
  | { readonly is: 'bytes' }

export interface ModelColumn {
  readonly property: string
  /** The kind of the values; undefined if the schema does not reveal it, for example because of a transformation. */
  readonly kind: ColumnKind | undefined
  readonly isNullable: boolean
}

/** The maximum depth to which schemas are read, because a schema may be recursive. */
const MAX_DEPTH = 20

/** Returns the columns of an object schema's output. Undefined for any other schema or a class. Works with every copy of zod 4. */
export function modelColumns(model: unknown): readonly ModelColumn[] | undefined {
  const shape = safely(() => shapeOf(model, 0), undefined)
  if (shape === undefined) return undefined
  return Object.entries(shape).map(([property, schema]) => ({
    property,
    ...safely(() => columnOf(schema, 0), { kind: undefined, isNullable: true }),
  }))
}

type Column = Omit<ModelColumn, 'property'>

const UNKNOWN: Column = { kind: undefined, isNullable: true }
const JSON_TEXT: Column = { kind: { is: 'json' }, isNullable: false }

function defOf(schema: unknown): unknown {
  return propertyOf(propertyOf(schema, '_zod'), 'def')
}

function typeOf(schema: unknown): unknown {
  return propertyOf(defOf(schema), 'type')
}

/** Returns the inner schema of a wrapper such as `optional` or `lazy`. */
function innerOf(schema: unknown): unknown {
  const def = defOf(schema)
  switch (typeOf(schema)) {
    case 'lazy': {
      const getter = propertyOf(def, 'getter')
      return typeof getter === 'function' ? (getter as () => unknown)() : undefined
    }
    case 'pipe':
      return propertyOf(def, 'out')
    default:
      return propertyOf(def, 'innerType')
  }
}

function shapeOf(schema: unknown, depth: number): Readonly<Record<string, unknown>> | undefined {
  if (depth > MAX_DEPTH || schema === undefined) return undefined
  if (typeOf(schema) !== 'object') return shapeOf(innerOf(schema), depth + 1)
  const shape = propertyOf(defOf(schema), 'shape')
  return typeof shape === 'object' && shape !== null ? (shape as Record<string, unknown>) : undefined
}

function columnOf(schema: unknown, depth: number): Column {
  if (depth > MAX_DEPTH || schema === undefined) return UNKNOWN
  switch (typeOf(schema)) {
    case 'string':
    case 'template_literal':
      return filled(textKind(schema))
    case 'number':
      return filled(numberKind(schema))
    case 'bigint':
      return filled({ is: 'integer', bits: 64 })
    case 'boolean':
      return filled({ is: 'boolean' })
    case 'date':
      return filled({ is: 'instant' })
    case 'enum':
      return columnOfValues(Object.values(entriesOf(schema)))
    case 'literal':
      return columnOfValues(listOf(schema, 'values'))
    case 'null':
    case 'undefined':
    case 'void':
      return UNKNOWN
    case 'optional':
    case 'nullable':
      return { ...columnOf(innerOf(schema), depth + 1), isNullable: true }
    case 'default':
    case 'prefault':
    case 'nonoptional':
      return withoutUndefined(schema, depth)
    case 'catch':
    case 'readonly':
    case 'lazy':
    case 'pipe':
      return columnOf(innerOf(schema), depth + 1)
    case 'object':
    case 'array':
    case 'tuple':
    case 'record':
      return JSON_TEXT
    case 'union':
      return columnOfUnion(schema, depth)
    case 'custom':
      return isOfBytes(schema) ? filled({ is: 'bytes' }) : UNKNOWN
    default:
      return UNKNOWN
  }
}

const filled = (kind: ColumnKind): Column => ({ kind, isNullable: false })

/**
 * Returns the column of a `default`, `prefault` or `nonoptional` schema. `.optional().default(…)` removes undefined from the output, but
 * `.nullable().default(…)` does not remove null.
 */
function withoutUndefined(schema: unknown, depth: number): Column {
  let inner = innerOf(schema)
  while (typeOf(inner) === 'optional') inner = innerOf(inner)
  return columnOf(inner, depth + 1)
}

function columnOfUnion(schema: unknown, depth: number): Column {
  const options = listOf(schema, 'options')
  const parts = options.filter((option) => !['null', 'undefined', 'void'].includes(String(typeOf(option))))
  const columns = parts.map((option) => columnOf(option, depth + 1))
  const isNullable = parts.length < options.length || columns.some((column) => column.isNullable)
  const [first, ...others] = columns
  if (!first?.kind) return UNKNOWN
  const { kind } = first
  if (!others.every((other) => other.kind?.is === kind.is)) return UNKNOWN
  return { kind: others.length === 0 ? kind : widest(columns.map((column) => column.kind)), isNullable }
}

function widest(kinds: readonly (ColumnKind | undefined)[]): ColumnKind | undefined {
  const [first] = kinds
  if (first?.is === 'integer') return { is: 'integer', bits: 64 }
  if (first?.is !== 'text') return first
  const lengths = kinds.map((kind) => (kind?.is === 'text' ? kind.maxLength : undefined) ?? Infinity)
  const maxLength = Math.max(...lengths)
  return { is: 'text', ...(maxLength !== Infinity && { maxLength }) }
}

function columnOfValues(values: readonly unknown[]): Column {
  const present = values.filter((value) => value !== null && value !== undefined)
  const isNullable = present.length < values.length
  if (present.length === 0) return UNKNOWN
  if (present.every((value) => typeof value === 'string')) {
    const maxLength = Math.max(...present.map((value) => value.length))
    return { kind: { is: 'text', maxLength }, isNullable }
  }
  if (present.every((value) => typeof value === 'boolean')) return { kind: { is: 'boolean' }, isNullable }
  if (present.every((value) => typeof value === 'bigint' || Number.isSafeInteger(value))) {
    return { kind: { is: 'integer', bits: 64 }, isNullable }
  }
  return present.every((value) => typeof value === 'number') ? { kind: { is: 'double' }, isNullable } : UNKNOWN
}

function textKind(schema: unknown): ColumnKind {
  const maxLength = propertyOf(schema, 'maxLength')
  const format = propertyOf(schema, 'format')
  return {
    is: 'text',
    ...(typeof maxLength === 'number' && { maxLength }),
    ...((format === 'uuid' || format === 'date') && { format }),
  }
}

const MAX_INT32 = 2 ** 31

function numberKind(schema: unknown): ColumnKind {
  if (propertyOf(schema, 'isInt') !== true) return { is: 'double' }
  const [least, most] = [propertyOf(schema, 'minValue'), propertyOf(schema, 'maxValue')]
  const isSmall = typeof least === 'number' && typeof most === 'number' && least >= -MAX_INT32 && most < MAX_INT32
  return { is: 'integer', bits: isSmall ? 32 : 64 }
}

function entriesOf(schema: unknown): Readonly<Record<string, unknown>> {
  const entries = propertyOf(defOf(schema), 'entries')
  return typeof entries === 'object' && entries !== null ? (entries as Record<string, unknown>) : {}
}

function listOf(schema: unknown, key: string): readonly unknown[] {
  const list = propertyOf(defOf(schema), key)
  return Array.isArray(list) ? list : []
}

/** Whether a schema is for bytes. `z.instanceof(Uint8Array)` does not reveal its class, so this tests which values the schema accepts. */
function isOfBytes(schema: unknown): boolean {
  const safeParse = propertyOf(schema, 'safeParse')
  if (typeof safeParse !== 'function') return false
  const accepts = (value: unknown): boolean =>
    propertyOf((safeParse as (value: unknown) => unknown).call(schema, value), 'success') === true
  return (accepts(new Uint8Array(1)) || accepts(Buffer.alloc(1))) && !accepts({}) && !accepts('')
}
