import { type Settings } from '../settings/settings.ts'
import { settingsError } from '../settings/problem.ts'

/** With parameters too: without a scheme SQLite makes a file of that name. */
const IN_MEMORY = /^\s*:memory:/i

/**
 * A node renews its lease from a thread with a connection of its own, which would open another database in memory.
 *
 * @throws PikoError `SETTINGS_INVALID` for a database in memory
 */
export function assertFile({ mysql, sqlite }: Settings): void {
  if (mysql.dsn !== '' || !IN_MEMORY.test(sqlite.path)) return
  throw settingsError([
    {
      key: 'sqlite.path',
      value: `"${sqlite.path}"`,
      origin: 'settings',
      expected:
        'expected the path of a file: each connection would have a database in memory of its own; ' +
        'use a file in a temporary folder, or startTestApp of piko/testing in tests',
    },
  ])
}
