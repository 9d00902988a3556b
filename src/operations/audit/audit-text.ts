import { redactText } from '../../run/redact.ts'
import { isSecretField } from '../../run/secret-names.ts'
import { isObject, safely } from '../../errors-read.ts'
import { isList } from '../../options.ts'

/** The maximum size of the text of a state or a request in an audit row. This is the limit of the column. */
const MAX_AUDIT_BYTES = 30_000
const MAX_VALUES = 500
const MAX_DEPTH = 8
const MAX_CHARACTERS = 2_000
const MAX_ITEMS = 100
const HIDDEN = '[redacted]'

/**
 * Returns the JSON text of a state or a request, without secrets. Only the beginning of long lists and strings is included. Takes a limited
 * time for any value, and never throws.
 *
 * @returns undefined for undefined
 */
export function auditText(value: unknown): string | undefined {
  if (value === undefined) return undefined
  // JSON can't represent a symbol or a function.
  const text = safely((): string | undefined => JSON.stringify(copyOf(value, 0, { left: MAX_VALUES })), undefined)
  const safe = redactText((text ?? '"[unreadable]"').toWellFormed())
  if (safe.length * 3 <= MAX_AUDIT_BYTES || Buffer.byteLength(safe) <= MAX_AUDIT_BYTES) return safe
  return JSON.stringify({ beginning: safe.slice(0, MAX_CHARACTERS).toWellFormed() })
}

function copyOf(value: unknown, depth: number, budget: { left: number }): unknown {
  budget.left -= 1
  switch (typeof value) {
    case 'string':
      return value.length > MAX_CHARACTERS ? `${value.slice(0, MAX_CHARACTERS)}…` : value
    case 'number':
    case 'boolean':
      return value
    case 'bigint':
      return value.toString()
    case 'object':
      if (value === null) return null
      if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString()
      if (budget.left <= 0 || depth >= MAX_DEPTH) return '…'
      return isList(value) ? listOf(value, depth, budget) : fieldsOf(value, depth, budget)
    default:
      return undefined // JSON can't represent this value: it is a function, a symbol or undefined.
  }
}

function listOf(list: readonly unknown[], depth: number, budget: { left: number }): unknown[] {
  const kept = list.slice(0, MAX_ITEMS).map((item) => copyOf(item, depth + 1, budget) ?? null)
  return list.length > MAX_ITEMS ? [...kept, `… ${list.length - MAX_ITEMS} more`] : kept
}

function fieldsOf(value: object, depth: number, budget: { left: number }): unknown {
  if (value instanceof AbortSignal || value instanceof Map || value instanceof Set) return undefined
  const fields: [string, unknown][] = []
  for (const key in value) {
    if (budget.left <= 0) break
    if (!Object.hasOwn(value, key)) continue
    const field: unknown = Reflect.get(value, key)
    const copied = isSecretField(key, field) && !isObject(field) ? HIDDEN : copyOf(field, depth + 1, budget)
    if (copied !== undefined) fields.push([key, copied])
  }
  return Object.fromEntries(fields)
}
