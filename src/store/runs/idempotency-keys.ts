import { type InsertQueryBuilder, type InsertResult, type Kysely, sql } from 'kysely'
import type { Dialect } from '../connection/dialect.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { sortInTurns } from '../statements/sort-in-turns.ts'
import { exactKey } from '../values/exact-key.ts'
import type { Tables } from '../tables.ts'

/**
 * The maximum number of keys that one statement contains. Even with the longest keys, the statement stays below the smallest packet size of
 * a server.
 */
export const MAX_KEYS = 200

/** Returns the form in which a key is stored. SQLite compares byte by byte, so there it is the key itself. */
export function storedKey(dialect: Dialect, key: string): string {
  return dialect.name === 'mysql' ? exactKey(key) : key
}

/**
 * Returns the stored keys without duplicates, in the same order for every caller. Because of this order, two calls with the same keys wait
 * for each other instead of causing a deadlock.
 */
export async function keysInOrder(
  dialect: Dialect,
  requests: readonly { unique?: { key: string } | undefined }[],
): Promise<string[]> {
  const keys = new Set<string>()
  await mapInTurns(requests, ({ unique }) => {
    if (unique) keys.add(storedKey(dialect, unique.key))
  })
  return sortInTurns([...keys])
}

/**
 * Creates the rows of new keys, and locks all rows for writing in the same step. An INSERT IGNORE would lock existing rows only for
 * reading, and upgrading such a lock can cause a deadlock.
 */
export function makeKeys(
  db: Kysely<Tables>,
  dialect: Dialect,
  jobId: string,
  keys: readonly string[],
): InsertQueryBuilder<Tables, 'piko_idempotency', InsertResult> {
  const make = db
    .insertInto('piko_idempotency')
    .values(keys.map((key) => ({ job_id: jobId, idempotency_key: key, run_id: null, created_at: dialect.now() })))
  return dialect.name === 'sqlite'
    ? make.onConflict((oc) => oc.doNothing())
    : make.onDuplicateKeyUpdate({ run_id: sql<number>`run_id` })
}
