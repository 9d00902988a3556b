import { check } from '../check.ts'
import type { Finding } from '../finding.ts'

const UTC = new Set(['UTC', '+00:00', 'Etc/UTC', 'GMT', 'Universal', 'Zulu', 'GMT0', 'UCT'])

/**
 * Finds connections whose time zone is not UTC. Also finds a server whose time zone is not UTC, because people might write local times into
 * rows.
 */
export const timeZone = check({
  id: 'time-zone',
  needs: ['server'],
  find: ({ server: { store, global, session, zoneOffsetS, location } }) => {
    if (store === 'sqlite') return []
    const findings: Finding[] = []
    if (zoneOffsetS !== 0) {
      findings.push({
        id: 'time-zone.session',
        severity: 'error',
        found: `connections to ${location} use the time zone ${session['time_zone'] ?? '?'}, ${zoneOffsetS} s from UTC, although Piko sets +00:00`,
        remedy:
          "connect without a proxy that shares sessions between clients, or set its default: SET GLOBAL time_zone = '+00:00'",
      })
    }
    const zone = global['time_zone'] === 'SYSTEM' ? global['system_time_zone'] : global['time_zone']
    if (zone !== undefined && zone !== '' && !UTC.has(zone)) {
      findings.push({
        id: 'time-zone.server',
        severity: 'info',
        found: `the time zone of ${location} is ${zone}, but rows are in UTC: a person who edits rows with NOW() writes a wrong instant`,
        remedy: "use UTC_TIMESTAMP(3) in statements by hand, or: SET GLOBAL time_zone = '+00:00'",
      })
    }
    return findings
  },
})
