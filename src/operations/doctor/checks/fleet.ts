import { counted } from '../../../counted.ts'
import { check } from '../check.ts'
import { type Finding, namesText, spanText } from '../finding.ts'

/** How long a fleet may be without a leader. An election and a recovery together take less time. */
const LEADERLESS_MS = 60_000
const DEAD_MS = 120_000

/** Finds a fleet without nodes or without a leader, and dead nodes that were not removed. */
export const fleet = check({
  id: 'fleet',
  needs: ['fleet'],
  find: ({ fleet: { nodes, leader, wanted } }) => {
    const live = nodes.filter(({ expiredAgoMs }) => expiredAgoMs <= 0)
    const dead = nodes.filter(({ expiredAgoMs }) => expiredAgoMs > DEAD_MS)
    const findings: Finding[] = []
    if (live.length === 0 && wanted.length > 0) {
      findings.push({
        id: 'fleet.empty',
        severity: 'error',
        found: `no node is running, although there is something to run for ${counted(wanted.length, 'job')}: ${namesText(wanted.map(({ id }) => id))}`,
        remedy: 'piko start',
      })
    }
    const since = leader?.nodeId === undefined ? Infinity : leader.expiredAgoMs
    const youngest = Math.min(...live.map(({ startedAgoMs }) => startedAgoMs))
    if (live.length > 0 && since > LEADERLESS_MS && youngest > LEADERLESS_MS) {
      findings.push({
        id: 'fleet.leader',
        severity: 'error',
        found: `none of ${counted(live.length, 'live node')} has led for ${Number.isFinite(since) ? spanText(since) : 'a minute or longer'}, so no tick is planned`,
        remedy: 'start a node that plans: piko start (without plan: false); check its log for leader.changed',
      })
    }
    if (dead.length > 0) {
      findings.push({
        id: 'fleet.dead',
        severity: live.length > 0 ? 'error' : 'info',
        found: `expired leases of ${counted(dead.length, 'node')} (${namesText(dead.map(({ host, pid }) => `${host} ${pid}`))}), which no live node has removed`,
        remedy: 'piko nodes list; a live node removes them within a lease: piko start',
      })
    }
    return findings
  },
})
