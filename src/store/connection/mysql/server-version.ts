import { PikoError } from '../../../errors.ts'

const OLDEST = { MySQL: [5, 7], MariaDB: [10, 3] } as const
const SKIPS_LOCKED = { MySQL: [8, 0], MariaDB: [10, 6] } as const

/** What the store needs to know about a server. */
export interface ServerFeatures {
  /** Whether the server has `SELECT … FOR UPDATE SKIP LOCKED`: MySQL 8.0 or later, MariaDB 10.6 or later. */
  readonly skipsLocked: boolean
}

/**
 * @param version the answer to `SELECT VERSION()`; if it does not name MariaDB, the server is treated as MySQL
 * @throws PikoError `DATABASE_UNSUPPORTED` before MySQL 5.7 or MariaDB 10.3
 */
export function featuresOf(version: string, location: string): ServerFeatures {
  const flavour = /mariadb/i.test(version) ? 'MariaDB' : 'MySQL'
  // MariaDB may put 5.5.5- before its version, for old replication clients.
  const [, major = 0, minor = 0] = (/^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
  const isFrom = ([fromMajor, fromMinor]: readonly [number, number]): boolean =>
    major > fromMajor || (major === fromMajor && minor >= fromMinor)
  if (isFrom(OLDEST[flavour])) {
    // TiDB reports the version MySQL 8.0 but does not have SKIP LOCKED.
    return { skipsLocked: isFrom(SKIPS_LOCKED[flavour]) && !/tidb/i.test(version) }
  }
  throw new PikoError(
    'DATABASE_UNSUPPORTED',
    `${location} is ${flavour} ${version}; expected at least MySQL 5.7 or MariaDB 10.3, preferably MySQL 8.0 or MariaDB 10.6; upgrade the server`,
    { details: { location, version } },
  )
}
