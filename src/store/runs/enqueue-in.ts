import { CompiledQuery } from 'kysely'
import type { Database } from '../connection/database.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { keysInOrder, makeKeys, MAX_KEYS } from './idempotency-keys.ts'
import { eventRows, insertEvent } from '../events/notes.ts'
import { idsFrom, insertRunsText, LAST_INSERT, newRunGroups, statementsOf } from './insert-rows.ts'
import { chunksOf } from '../statements/chunks.ts'
import { readNumber, valuesOf } from '../statements/row-values.ts'
import { type RunQuery, storeUnique } from './unique-run.ts'
import { type EnqueueTransaction, isForeign, statementIn, type UserStatement } from '../statements/user-transaction.ts'
import { type NewRun, newRow } from './new-run.ts'

/**
 * Stores runs inside a transaction that the caller commits or rolls back. Returns the ids in the order of the runs.
 *
 * @throws PikoError `USAGE` if `trx` is not a transaction of the app's database, or none is open on it; `IDEMPOTENCY_CONFLICT` as in
 * `storeUnique`
 */
export async function enqueueIn(
  database: Database,
  trx: EnqueueTransaction,
  requests: readonly NewRun[],
): Promise<number[]> {
  const statement = await statementIn(trx, database)
  const query: RunQuery = async (compilable) => {
    const { sql, parameters } = compilable.compile()
    return valuesOf(await statement.run(sql, parameters))
  }
  if (!requests.some(({ unique }) => unique)) return insertIn(database, query, statement.insert, requests)
  const queries = { query, latest: isForeign(trx) ? readCommitted(database) : undefined }
  await holdKeys(database, query, requests)
  const ids: number[] = []
  for (const run of requests) {
    const insert = async (): Promise<number> => (await insertIn(database, query, statement.insert, [run]))[0] as number
    if (!run.unique) {
      ids.push(await insert())
      continue
    }
    const row = newRow(database.dialect, run)
    ids.push(await storeUnique(database, queries, run.jobId, run.unique, row, insert))
  }
  return ids
}

/**
 * Locks the keys of all requests in the same order as other transactions do, because this transaction may stay open for a long time.
 * Locking each key only when its run is stored could cause a deadlock.
 */
async function holdKeys({ db, dialect }: Database, query: RunQuery, requests: readonly NewRun[]): Promise<void> {
  const [first, ...others] = requests
  if (dialect.name === 'sqlite' || !first || others.length === 0) return
  for (const keys of chunksOf(await keysInOrder(dialect, requests), MAX_KEYS))
    await query(makeKeys(db, dialect, first.jobId, keys))
}

/**
 * Returns a query that reads on Piko's own connection, without locks. Undefined on SQLite, where a transaction that writes always sees the
 * latest data.
 */
function readCommitted({ db, dialect }: Database): RunQuery | undefined {
  if (dialect.name === 'sqlite') return undefined
  return async (compilable) => valuesOf((await db.executeQuery(compilable.compile())).rows)
}

/** A literal needs up to twice as many bytes as its text. */
const LITERAL_GROWTH = 2

async function insertIn(
  { dialect, recording }: Database,
  query: RunQuery,
  insertFirst: UserStatement['insert'],
  runs: readonly NewRun[],
): Promise<number[]> {
  const rows = await mapInTurns(runs, (run) => newRow(dialect, run))
  const ids: number[] = []
  for (const part of statementsOf(dialect, rows, (row) => row, LITERAL_GROWTH)) {
    if (dialect.name === 'sqlite') {
      const stored = await query({ compile: () => insertRunsText(dialect, part) })
      ids.push(...stored.map(([id]) => readNumber(id, 1)))
    } else {
      const { sql, parameters } = insertRunsText(dialect, part)
      const known = await insertFirst(sql, parameters)
      const [[first, step] = []] =
        known > 0 && part.length === 1 ? [[known, 1]] : await query({ compile: () => CompiledQuery.raw(LAST_INSERT) })
      ids.push(...idsFrom({ first: known > 0 ? known : readNumber(first, 1), step: readNumber(step, 1) }, part.length))
    }
  }
  if (recording.isOn)
    for (const row of eventRows(newRunGroups(rows, ids))) await query({ compile: () => insertEvent(dialect, row) })
  return ids
}
