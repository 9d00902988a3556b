import { type CompiledQuery } from 'kysely'
import { describe, PikoError } from '../errors.ts'
import { type SqlExecutor, type SqlValue } from '../sink/sql.ts'
import { type Database } from './database.ts'
import { type NewRun, type RunStore } from './run-store.ts'

/** A transaction of the user's own Kysely; the database must be the one that Piko runs on. */
export interface KyselyTransaction {
  readonly isTransaction: boolean
  executeQuery(query: CompiledQuery): Promise<{ readonly insertId?: bigint | undefined }>
}

/** A connection of `mysql2/promise` on which a transaction is open. */
export interface Mysql2Connection {
  execute(sql: string, values: SqlValue[]): Promise<[unknown, unknown]>
  beginTransaction(): Promise<void>
}

/** The transaction that a run is stored in: of `app.sql.transaction`, of `ctx.commit`, or of the user's own library. */
export type EnqueueTransaction = SqlExecutor | KyselyTransaction | Mysql2Connection

/**
 * Stores a run inside of a transaction that somebody else commits or rolls back. Returns the run's id.
 *
 * @throws PikoError `USAGE` when `trx` is none of these
 */
export async function enqueueIn(
  database: Database,
  runs: RunStore,
  trx: EnqueueTransaction,
  run: NewRun,
): Promise<number> {
  const insert = database.db.insertInto('piko_run').values(runs.row(run))
  const query = database.dialect.name === 'sqlite' ? insert.returning('id').compile() : insert.compile()
  return Number(await insertedBy(trx, query))
}

async function insertedBy(trx: EnqueueTransaction, query: CompiledQuery): Promise<unknown> {
  const values = query.parameters as SqlValue[]
  if (isExecutor(trx)) {
    if (trx.dialect === 'sqlite') return (await trx.query<{ id: number }>(query.sql, values))[0]?.id
    await trx.exec(query.sql, values)
    return (await trx.query<{ id: number }>('SELECT LAST_INSERT_ID() AS id'))[0]?.id
  }
  if (isKysely(trx)) return (await trx.executeQuery(query)).insertId
  if (isMysql2(trx)) return ((await trx.execute(query.sql, values))[0] as { insertId: number }).insertId
  throw new PikoError(
    'USAGE',
    `trx is ${describe(trx)}; expected the trx of app.sql.transaction or ctx.commit, a Kysely transaction, or a connection of mysql2/promise on which a transaction is open`,
  )
}

function isExecutor(trx: object): trx is SqlExecutor {
  return 'dialect' in trx && 'exec' in trx && 'query' in trx
}

/** A Kysely that is no transaction would commit at once. */
function isKysely(trx: object): trx is KyselyTransaction {
  return 'executeQuery' in trx && 'isTransaction' in trx && trx.isTransaction === true
}

/** A pool has `execute` too, and would take any connection. */
function isMysql2(trx: object): trx is Mysql2Connection {
  return 'execute' in trx && 'beginTransaction' in trx
}
