import { PikoError } from '../errors.ts'

const OLDEST = { MySQL: [8, 0], MariaDB: [10, 6] } as const

/**
 * @param version what `SELECT VERSION()` answers; MariaDB names itself there, everything else counts as MySQL
 * @throws PikoError `DATABASE_UNSUPPORTED` before MySQL 8.0 and MariaDB 10.6
 */
export function requireServerVersion(version: string, location: string): void {
  const flavour = /mariadb/i.test(version) ? 'MariaDB' : 'MySQL'
  // An old replication trick puts 5.5.5- before MariaDB's version.
  const [, major = 0, minor = 0] = (/^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
  const [oldestMajor, oldestMinor] = OLDEST[flavour]
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return
  throw new PikoError(
    'DATABASE_UNSUPPORTED',
    `${location} is ${flavour} ${version}; expected MySQL 8.0 or MariaDB 10.6 at least; upgrade the server`,
    { details: { location, version } },
  )
}
