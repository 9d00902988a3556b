import { existsSync } from 'node:fs'
import { loadSettings } from '../settings/load.ts'
import type { Settings, SettingsOverrides } from '../settings/settings.ts'
import type { GlobalOptions } from './global-options.ts'

/** @throws PikoError `SETTINGS_INVALID` */
export function cliSettings({ settings: file }: GlobalOptions, overrides?: SettingsOverrides): Settings {
  const { settings } = loadSettings({ file, overrides })
  // The app reads its settings file from the environment.
  if (file !== undefined) process.env['PIKO_SETTINGS_PATH'] = file
  return settings
}

/**
 * Overrides of settings for a command that only reads and must change nothing. With them an existing database is never migrated. A missing
 * SQLite file is not created: the command reads an empty database in memory instead.
 */
export function readOnly({ mysql, sqlite }: Settings): {
  readonly piko: { readonly auto_migrate: boolean }
  readonly sqlite: { readonly path: string }
} {
  const isMissing = mysql.dsn === '' && !existsSync(sqlite.path)
  return { piko: { auto_migrate: isMissing }, sqlite: { path: isMissing ? ':memory:' : sqlite.path } }
}
