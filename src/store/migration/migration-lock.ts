import { randomUUID } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { Tables } from '../tables.ts'

const LEASE_MS = 15_000
const RENEW_EVERY_MS = 5_000

/** Thrown when another process has taken over the lock, because this process did not renew it in time. */
export class LockLost extends Error {
  override readonly name = 'LockLost'
}

/**
 * The lock that allows only one process at a time to migrate a MySQL schema. It is one row with an owner and an expiry time by the
 * database's clock, acquired by compare-and-set. `GET_LOCK` would not work, because it belongs to a connection, and proxies share and swap
 * connections.
 *
 * Its states: free → held (`take`) → free (`release`), and held → held by another process when the lease of 15 s has expired. The lease is
 * renewed every 5 s on a second connection, even while a long statement runs.
 */
export class MigrationLock {
  readonly #database: Database
  readonly #owner = randomUUID()
  #timer: NodeJS.Timeout | undefined
  #renewal: Promise<unknown> = Promise.resolve()

  constructor(database: Database) {
    this.#database = database
  }

  static async create({ db, retry }: Database): Promise<void> {
    await retry(() =>
      sql`
        CREATE TABLE IF NOT EXISTS piko_migration_lock (
          id TINYINT NOT NULL PRIMARY KEY,
          owner CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NULL,
          expires_at DATETIME(3) NOT NULL
        ) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
      `.execute(db),
    )
    await retry(() =>
      sql`INSERT IGNORE INTO piko_migration_lock (id, owner, expires_at) VALUES (1, NULL, UTC_TIMESTAMP(3))`.execute(
        db,
      ),
    )
  }

  /** Acquires the lock. Returns true if it was free or its holder's lease had expired. */
  async take(): Promise<boolean> {
    const { db, dialect, retry } = this.#database
    const { numAffectedRows } = await retry(() =>
      sql`
        UPDATE piko_migration_lock SET owner = ${this.#owner}, expires_at = ${dialect.nowPlus(LEASE_MS)}
        WHERE id = 1 AND (owner IS NULL OR expires_at < ${dialect.now()})
      `.execute(db),
    )
    if (numAffectedRows !== 1n) {
      await this.#shorten()
      return false
    }
    // The error is ignored: if this process no longer holds the lock, the next renewal or the next step notices it.
    this.#timer = setInterval(() => {
      this.#renewal = this.#renew().catch(() => {})
    }, RENEW_EVERY_MS)
    return true
  }

  /**
   * Runs a transaction that commits only while this process holds the lock. The lock's row stays locked until the commit, so no other
   * process can take the lock over before that.
   *
   * @throws LockLost
   */
  async guarded(fn: (trx: Transaction<Tables>) => Promise<void>): Promise<void> {
    await this.#database.transaction(async (trx) => {
      const { rows } = await sql`
        SELECT id FROM piko_migration_lock WHERE id = 1 AND owner = ${this.#owner} FOR UPDATE
      `.execute(trx)
      if (rows.length === 0) throw new LockLost('another process has taken over the migration lock')
      await fn(trx)
    })
  }

  /** Releases the lock. Never rejects: if the database does not answer, the lease expires by itself. */
  async release(): Promise<void> {
    clearInterval(this.#timer)
    await this.#renewal
    const { db, retry } = this.#database
    await retry(() =>
      sql`UPDATE piko_migration_lock SET owner = NULL WHERE id = 1 AND owner = ${this.#owner}`.execute(db),
    ).catch(() => {})
  }

  /**
   * Shortens a lease that ends later than any process would set it: a person must have edited the row. If its owner is alive, the
   * owner renews it.
   */
  async #shorten(): Promise<void> {
    const { db, dialect, retry } = this.#database
    await retry(() =>
      sql`
        UPDATE piko_migration_lock SET expires_at = ${dialect.nowPlus(LEASE_MS)}
        WHERE id = 1 AND expires_at > ${dialect.nowPlus(2 * LEASE_MS)}
      `.execute(db),
    )
  }

  async #renew(): Promise<void> {
    const { db, dialect } = this.#database
    await sql`
      UPDATE piko_migration_lock SET expires_at = ${dialect.nowPlus(LEASE_MS)} WHERE id = 1 AND owner = ${this.#owner}
    `.execute(db)
  }
}
