import type { CompiledQuery } from 'kysely'

const atomic = new WeakSet<CompiledQuery>()

/**
 * Marks a statement for SQLite that must change all its rows or none. SQLite alone does not ensure that: if a trigger with `RAISE(FAIL)`
 * refuses a row, the rows before it stay.
 */
export function atomically(query: CompiledQuery): CompiledQuery {
  atomic.add(query)
  return query
}

/** Whether a statement needs a transaction of its own. */
export function isAtomic(query: CompiledQuery): boolean {
  return atomic.has(query)
}
