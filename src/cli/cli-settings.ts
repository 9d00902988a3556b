import { existsSync } from 'node:fs'
import { loadSettings } from '../settings/load.ts'
import { type Settings } from '../settings/settings.ts'
import { type GlobalOptions } from './global-options.ts'

/** @throws PikoError `SETTINGS_INVALID` */
export function cliSettings({ settings: file }: GlobalOptions): Settings {
  const { settings } = loadSettings({ file })
  // The app reads its settings by itself.
  if (file !== undefined) process.env['PIKO_SETTINGS_PATH'] = file
  return settings
}

/**
 * What a command that only looks sets, so that it leaves no trace: it never migrates a database that is there, and in
 * place of a SQLite file that isn't there it looks at an empty one in memory.
 */
export function readOnly({ mysql, sqlite }: Settings): {
  readonly piko: { readonly auto_migrate: boolean }
  readonly sqlite: { readonly path: string }
} {
  const isMissing = mysql.dsn === '' && !existsSync(sqlite.path)
  return { piko: { auto_migrate: isMissing }, sqlite: { path: isMissing ? ':memory:' : sqlite.path } }
}
