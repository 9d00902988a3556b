import type { InsertResult } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'

/** An INSERT of one row that returns its `id`. */
interface Insert {
  executeTakeFirstOrThrow(): Promise<{ readonly id: number }>
  clearReturning(): { executeTakeFirstOrThrow(): Promise<InsertResult> }
}

/**
 * Inserts a row. MySQL has no RETURNING, so there the id comes from the answer to the INSERT.
 *
 * @returns the id that the database gave to the row
 */
export async function insertedId({ name }: Dialect, insert: Insert): Promise<number> {
  if (name === 'sqlite') return (await insert.executeTakeFirstOrThrow()).id
  return Number((await insert.clearReturning().executeTakeFirstOrThrow()).insertId)
}
