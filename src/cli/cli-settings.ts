import { existsSync } from 'node:fs'
import { loadSettings } from '../settings/load.ts'
import type { Settings, SettingsOverrides } from '../settings/settings.ts'
import type { GlobalOptions } from './global-options.ts'

/** Loads the settings of a command. @throws PikoError `SETTINGS_INVALID` */
export function cliSettings({ settings: file }: GlobalOptions, overrides?: SettingsOverrides): Settings {
  const { settings } = loadSettings({ file, overrides })
  // The app reads the path of its settings file from the environment.
  if (file !== undefined) process.env['PIKO_SETTINGS_PATH'] = file
  return settings
}

/**
 * Returns settings for a command that only reads and must change nothing. An existing database is not migrated. A missing SQLite file is
 * not created; the command reads an empty database in memory instead.
 */
export function readOnly({ mysql, sqlite }: Settings): {
  readonly piko: { readonly auto_migrate: boolean }
  readonly sqlite: { readonly path: string }
} {
  const isMissing = mysql.dsn === '' && !existsSync(sqlite.path)
  return { piko: { auto_migrate: isMissing }, sqlite: { path: isMissing ? ':memory:' : sqlite.path } }
}
