import { check } from '../check.ts'

/** The first versions with SKIP LOCKED. */
const WANTED = { MySQL: [8, 0], MariaDB: [10, 6] } as const

/** Finds a server version without SKIP LOCKED, on which claims of several nodes wait for each other. */
export const serverVersion = check({
  id: 'server-version',
  needs: ['server'],
  find: ({ server: { store, version, isMariadb, location } }) => {
    if (store === 'sqlite') return []
    const flavour = isMariadb ? 'MariaDB' : 'MySQL'
    const [, major = 0, minor = 0] = (/^(?:5\.5\.5-)?(\d+)\.(\d+)/.exec(version) ?? []).map(Number)
    const [wantedMajor, wantedMinor] = WANTED[flavour]
    if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return []
    return [
      {
        id: 'server-version',
        severity: 'warning',
        found: `${location} is ${flavour} ${version}, which lacks SKIP LOCKED: claims of several nodes wait for each other`,
        remedy: `upgrade the server to ${flavour} ${wantedMajor}.${wantedMinor} or later`,
      },
    ]
  },
})
