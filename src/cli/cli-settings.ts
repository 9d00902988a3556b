import { existsSync } from 'node:fs'
import { loadSettings } from '../settings/load.ts'
import type { Settings } from '../settings/settings.ts'
import type { GlobalOptions } from './global-options.ts'

/** @throws PikoError `SETTINGS_INVALID` */
export function cliSettings({ settings: file }: GlobalOptions): Settings {
  const { settings } = loadSettings({ file })
  // The app reads its settings file from the environment.
  if (file !== undefined) process.env['PIKO_SETTINGS_PATH'] = file
  return settings
}

/**
 * Overrides for a command that only reads, so it leaves no trace. It never migrates an existing database. In place of a missing SQLite file
 * it reads an empty one in memory.
 */
export function readOnly({ mysql, sqlite }: Settings): {
  readonly piko: { readonly auto_migrate: boolean }
  readonly sqlite: { readonly path: string }
} {
  const isMissing = mysql.dsn === '' && !existsSync(sqlite.path)
  return { piko: { auto_migrate: isMissing }, sqlite: { path: isMissing ? ':memory:' : sqlite.path } }
}
