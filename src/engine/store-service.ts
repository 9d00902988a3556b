import { Service } from '../service/service.ts'
import { type Settings } from '../settings/settings.ts'
import { ReopenableDatabase } from '../store/reopenable-database.ts'
import { type Store, storeOn } from '../store/store.ts'
import { openSettingsDatabase } from './open-store.ts'

/** The store's connections: opened and migrated at start, closed at stop. The `store` stays the same over restarts. */
export class StoreService extends Service {
  readonly store: Store
  readonly isEmbedded: boolean
  readonly #database: ReopenableDatabase
  readonly #autoMigrate: boolean

  constructor(settings: Settings) {
    super({ name: 'store' })
    this.isEmbedded = settings.mysql.dsn === ''
    this.#autoMigrate = settings.piko.autoMigrate
    this.#database = new ReopenableDatabase(() => openSettingsDatabase(settings), this.isEmbedded ? 'sqlite' : 'mysql')
    this.store = storeOn(this.#database)
  }

  protected override async onStart(): Promise<void> {
    this.defer(() => this.#database.close())
    await this.#database.open()
    await this.store.prepare(this.#autoMigrate)
  }
}
