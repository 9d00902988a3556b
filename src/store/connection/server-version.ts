import { PikoError } from '../../errors.ts'

const OLDEST = { MySQL: [5, 7], MariaDB: [10, 3] } as const
const SKIPS_LOCKED = { MySQL: [8, 0], MariaDB: [10, 6] } as const

/** What the store must know of a server. */
export interface ServerFeatures {
  /** `SELECT … FOR UPDATE SKIP LOCKED`, from MySQL 8.0 and MariaDB 10.6 on. */
  readonly skipsLocked: boolean
}

/**
 * @param version what `SELECT VERSION()` answers; MariaDB names itself there, everything else counts as MySQL
 * @throws PikoError `DATABASE_UNSUPPORTED` before MySQL 5.7 and MariaDB 10.3
 */
export function featuresOf(version: string, location: string): ServerFeatures {
  const flavour = /mariadb/i.test(version) ? 'MariaDB' : 'MySQL'
  // An old replication trick puts 5.5.5- before MariaDB's version.
  const [, major = 0, minor = 0] = (/^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
  const isFrom = ([fromMajor, fromMinor]: readonly [number, number]): boolean =>
    major > fromMajor || (major === fromMajor && minor >= fromMinor)
  if (isFrom(OLDEST[flavour])) {
    // TiDB calls itself a MySQL 8.0 and has no SKIP LOCKED.
    return { skipsLocked: isFrom(SKIPS_LOCKED[flavour]) && !/tidb/i.test(version) }
  }
  throw new PikoError(
    'DATABASE_UNSUPPORTED',
    `${location} is ${flavour} ${version}; expected MySQL 5.7 or MariaDB 10.3 at least, better MySQL 8.0 or MariaDB 10.6; upgrade the server`,
    { details: { location, version } },
  )
}
