import { type DatabaseConnection, type Driver, MysqlDialect, type MysqlDialectConfig, MysqlDriver } from 'kysely'
import { endsTransaction, isConnectionLost } from '../../sql/database-faults.ts'

/** Kysely's MySQL dialect, whose transactions fail with the error that ended them. */
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
  /** The server rolls back what a lost connection has left; the error that broke it is the one to tell. */
  override async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    try {
      await super.rollbackTransaction(connection)
    } catch (error) {
      if (!isConnectionLost(error) && !endsTransaction(error)) throw error
    }
  }
}
