import type { ControlledTransaction, Kysely, Transaction } from 'kysely'
import type { Isolation } from './mysql-options.ts'
import type { MysqlSource, OpenTransaction, Statements } from './mysql-source.ts'
import { untilReachable } from './until-reachable.ts'

export interface WithKysely<DB> {
  /** The transaction with Kysely's types. Neither commit it nor roll it back. */
  readonly trx: Transaction<DB>
}

/** Statements and transactions on a user's Kysely instance, which stays open. */
export class KyselySource<DB> implements MysqlSource<WithKysely<DB>> {
  readonly #kysely: Kysely<DB>
  readonly #waitMs: number
  readonly #isolation: Isolation | undefined

  constructor(kysely: Kysely<DB>, waitMs: number, isolation: Isolation | undefined) {
    this.#isolation = isolation
    this.#kysely = kysely
    this.#waitMs = waitMs
  }

  send(sql: string, values: readonly unknown[]): ReturnType<Statements['send']> {
    return sendOn(this.#kysely, sql, values)
  }

  async begin(signal: AbortSignal | undefined): Promise<OpenTransaction<WithKysely<DB>>> {
    const trx = await untilReachable(() => this.#start(), this.#waitMs, signal)
    return {
      extra: { trx },
      send: (sql, values) => sendOn(trx, sql, values),
      commit: async () => void (await trx.commit().execute()),
      rollback: async () => void (await trx.rollback().execute()),
      // Kysely can't close a single connection, so the rollback is sent after the running statement.
      abandon: () =>
        void trx
          .rollback()
          .execute()
          .catch(() => {}),
    }
  }

  #start(): Promise<ControlledTransaction<DB>> {
    const builder = this.#kysely.startTransaction()
    return (this.#isolation === undefined ? builder : builder.setIsolationLevel(this.#isolation)).execute()
  }

  async ping(): Promise<void> {
    await this.send('SELECT 1', [])
  }

  async close(): Promise<void> {
    // The Kysely instance belongs to the user.
  }
}

async function sendOn<DB>(db: Kysely<DB>, sql: string, values: readonly unknown[]): ReturnType<Statements['send']> {
  const { CompiledQuery } = await import('kysely')
  const { rows, numAffectedRows = 0n } = await db.executeQuery(CompiledQuery.raw(sql, [...values]))
  return { rows, changes: Number(numAffectedRows) }
}
