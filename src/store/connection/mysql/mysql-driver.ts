import { type DatabaseConnection, type Driver, MysqlDialect, type MysqlDialectConfig, MysqlDriver } from 'kysely'
import { endsTransaction, isConnectionLost } from '../../../sql/database-faults.ts'

/** Kysely's MySQL dialect, with one change: a failed transaction rejects with the error that ended it. */
export class PikoMysqlDialect extends MysqlDialect {
  readonly #config: MysqlDialectConfig

  constructor(config: MysqlDialectConfig) {
    super(config)
    this.#config = config
  }

  override createDriver(): Driver {
    return new TellingDriver(this.#config)
  }
}

class TellingDriver extends MysqlDriver {
  /**
   * Ignores the error of a rollback if the connection is lost or the server has already rolled back. The error that ended the transaction
   * must be reported.
   */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection)
    } catch (error) {
      if (!isConnectionLost(error) && !endsTransaction(error)) throw error
    }
  }
}
