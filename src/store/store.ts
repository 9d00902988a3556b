import { sql } from 'kysely'
import { type Database } from './database.ts'
import { JobStore } from './job-store.ts'
import { LockStore } from './lock-store.ts'
import { assertSchema, migrate } from './migrate.ts'
import { NodeStore } from './node-store.ts'
import { RunStore } from './run-store.ts'
import { WindowStore } from './window-store.ts'

/** The open store: one class per table family over one database. */
export interface Store {
  readonly database: Database
  readonly runs: RunStore
  readonly jobs: JobStore
  readonly windows: WindowStore
  readonly nodes: NodeStore
  readonly locks: LockStore
  /** Brings the schema up to date, or checks that it is. */
  prepare(autoMigrate: boolean): Promise<void>
  /** One round trip. */
  ping(): Promise<void>
}

export function storeOn(database: Database): Store {
  const runs = new RunStore(database)
  return {
    database,
    runs,
    jobs: new JobStore(database, runs),
    windows: new WindowStore(database, runs),
    nodes: new NodeStore(database),
    locks: new LockStore(database),
    async prepare(autoMigrate) {
      if (autoMigrate) await migrate(database, { direction: 'up' })
      await assertSchema(database)
    },
    async ping() {
      await sql`SELECT 1`.execute(database.db)
    },
  }
}
