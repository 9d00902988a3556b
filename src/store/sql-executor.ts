import { CompiledQuery, type Kysely } from 'kysely'
import { describe } from '../errors.ts'
import { retryContention } from '../sink/contention.ts'
import { type SqlDatabase, type SqlExecutor, type SqlRow, type SqlValue } from '../sink/sql.ts'
import { type Dialect } from './dialect.ts'
import { type OwnTransaction } from './own-transaction.ts'
import { type Tables } from './tables.ts'
import { transactionOnce } from './transaction.ts'

/**
 * Plain SQL on the store's own connections. A single statement is run again after a deadlock, a lock timeout or a busy
 * file; a transaction is run once: only its caller knows whether it may be repeated.
 *
 * @param own on a database with one connection
 * @throws PikoError `USAGE` on SQLite, for a call from inside a transaction of this database that goes past its `trx`
 */
export function sqlDatabase(
  db: Kysely<Tables>,
  dialect: Dialect,
  location: string,
  own: OwnTransaction | undefined,
): SqlDatabase {
  const single = sqlExecutor(db, dialect)
  const plain: SqlDatabase = {
    dialect: dialect.name,
    maxStatementBytes: dialect.sizes.statement,
    query: (text, params) => retryContention(() => single.query(text, params)),
    exec: (text, params) => retryContention(() => single.exec(text, params)),
    transaction: (fn) => transactionOnce(db, location, (trx) => fn(sqlExecutor(trx, dialect))),
  }
  return own ? guarded(plain, own) : plain
}

function guarded(plain: SqlDatabase, own: OwnTransaction): SqlDatabase {
  return {
    dialect: plain.dialect,
    maxStatementBytes: plain.maxStatementBytes,
    async query(text, params) {
      own.assertOutside('sql.query')
      return plain.query(text, params)
    },
    async exec(text, params) {
      own.assertOutside('sql.exec')
      return plain.exec(text, params)
    },
    async transaction(fn) {
      own.assertOutside('sql.transaction')
      return plain.transaction((trx) => own.enter(() => fn(trx)))
    },
  }
}

/** Plain SQL on one Kysely connection or transaction. */
export function sqlExecutor(db: Kysely<Tables>, { name, sizes }: Dialect): SqlExecutor {
  return {
    dialect: name,
    maxStatementBytes: sizes.statement,
    async query<T extends SqlRow>(text: string, params: readonly SqlValue[] = []) {
      const result = await db.executeQuery<T>(CompiledQuery.raw(text, params.map(bindable)))
      return result.rows
    },
    async exec(text, params = []) {
      const result = await db.executeQuery(CompiledQuery.raw(text, params.map(bindable)))
      return { changes: Number(result.numAffectedRows ?? 0n) }
    },
  }
}

/** mysql2 would turn `undefined` into NULL and an object into `key = value` pairs; both hide a mistake. */
function bindable(value: SqlValue | undefined, index: number): SqlValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
    case 'boolean':
      return value
    default:
      if (value === null || value instanceof Date) return value
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      throw new TypeError(
        `SQL parameter ${index + 1} is ${describe(value)}; expected a string, number, bigint, boolean, Date, Uint8Array or null`,
      )
  }
}
