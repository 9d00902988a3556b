import type { Settings } from '../settings/settings.ts'
import { settingsError } from '../settings/problem.ts'

/** Also matches `:memory:` with parameters, because SQLite would create a file with that name. */
const IN_MEMORY = /^\s*:memory:/i

/**
 * Refuses a database in memory. A node renews its lease from a thread with its own connection, which would open a second, empty database.
 *
 * @throws PikoError `SETTINGS_INVALID`
 */
export function assertFile({ mysql, sqlite }: Settings): void {
  if (mysql.dsn !== '' || !IN_MEMORY.test(sqlite.path)) return
  throw settingsError([
    {
      key: 'sqlite.path',
      value: `"${sqlite.path}"`,
      origin: 'settings',
      expected:
        'expected the path of a file: each connection would have its own database in memory; ' +
        'use a file in a temporary folder, or startTestApp of piko/testing in tests',
    },
  ])
}
