// `setInterval` is imported, because otherwise a test that mocks the global timers would stop the check of the files.
import { setInterval } from 'node:timers'
import { isLoopback } from '../access/loopback.ts'
import { Service } from '../service/service.ts'
import type { Settings } from '../settings/settings.ts'
import { databaseGone } from './connection/sqlite/database-gone.ts'
import { poolWarning } from './connection/mysql/pool-size.ts'
import { ReopenableDatabase } from './connection/reopenable-database.ts'
import { lostFile } from './connection/sqlite/sqlite-files.ts'
import { type Store, storeOn } from './store.ts'
import type { OpenOptions } from './connection/database.ts'
import { databaseOptions, openSettingsDatabase } from './open-store.ts'

export interface StoreServiceParts {
  readonly settings: Settings
  /** Whether this is the store of a node. The heartbeat thread of a node already watches the files. */
  readonly isNode: boolean
  /** Replaces the database's clock in tests. */
  readonly clock?: OpenOptions['clock']
}

/**
 * At start, opens the store's connections, migrates the schema if `[piko] auto_migrate` is set, and checks it. At stop, closes the
 * connections. The `store` object stays the same when the service restarts.
 */
export class StoreService extends Service {
  readonly store: Store
  readonly isEmbedded: boolean
  /** Whether the store is on this machine: a file, or a server at a local address. */
  readonly isLocal: boolean
  /** The options for further connections to the same database. */
  readonly options: OpenOptions
  readonly #database: ReopenableDatabase
  readonly #autoMigrate: boolean
  readonly #poolWarning: string | undefined
  readonly #lookMs: number

  constructor({ settings, isNode, clock }: StoreServiceParts) {
    super({ name: 'store' })
    this.options = databaseOptions(settings)
    this.isEmbedded = settings.mysql.dsn === ''
    this.isLocal = this.isEmbedded || isOnThisMachine(this.options)
    this.#lookMs = this.isEmbedded && !isNode ? settings.piko.leaseMs / 3 : 0
    this.#autoMigrate = settings.piko.autoMigrate
    this.#poolWarning = this.isEmbedded ? undefined : poolWarning(settings.mysql.poolSize, settings.piko.concurrency)
    this.#database = new ReopenableDatabase(
      () => openSettingsDatabase(settings, clock),
      this.isEmbedded ? 'sqlite' : 'mysql',
    )
    this.store = storeOn(this.#database)
  }

  protected override async onStart(): Promise<void> {
    this.defer(() => this.#database.close())
    await this.#database.open()
    if (this.#poolWarning !== undefined) this.log.warn(this.#poolWarning)
    await this.store.prepare(this.#autoMigrate)
    this.#lookAfterFiles()
  }

  #lookAfterFiles(): void {
    if (this.#lookMs === 0) return
    const timer = setInterval(() => {
      const lost = lostFile(this.#database.files)
      if (lost) this.crash(databaseGone(lost))
    }, this.#lookMs).unref()
    this.defer(() => clearInterval(timer))
  }
}

function isOnThisMachine({ mysql }: OpenOptions): boolean {
  return mysql?.params?.['unix_socket'] !== undefined || isLoopback(mysql?.host ?? '')
}
