import type { Piko } from 'piko'
import packageJson from 'piko/package.json' with { type: 'json' }
import type { About, SystemConfig } from '../harness/system.ts'

/** The store of a script, as settings of an app. */
export function storeSettings({ store, dsn }: SystemConfig): { sqlite: { path: string } } | { mysql: { dsn: string } } {
  return store === 'sqlite' ? { sqlite: { path: dsn } } : { mysql: { dsn } }
}

export async function aboutPiko(app: Piko, { store }: SystemConfig): Promise<About> {
  const [row] = await app.sql.query<{ version: string }>(
    store === 'sqlite' ? 'SELECT sqlite_version() AS version' : 'SELECT VERSION() AS version',
  )
  return {
    versions: { package: packageJson.version, server: row?.version ?? '' },
    settings: { concurrency: app.settings.piko.concurrency },
  }
}
