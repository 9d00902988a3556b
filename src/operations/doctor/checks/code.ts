import type { FleetNode } from '../../../store/doctor/fleet-facts.ts'
import { check } from '../check.ts'
import { type Finding, namesText } from '../finding.ts'

/** A rolling deploy normally takes less time than this. */
const DEPLOY_MS = 900_000

/** Finds live nodes with different code: another version of Piko, or a job with the same id but another digest. */
export const code = check({
  id: 'code',
  needs: ['fleet'],
  find: ({ fleet: { nodes } }) => {
    const live = nodes.filter(({ expiredAgoMs }) => expiredAgoMs <= 0)
    const isDeploying = live.some(({ startedAgoMs }) => startedAgoMs < DEPLOY_MS)
    const severity = isDeploying ? 'info' : 'warning'
    const during = isDeploying ? '; this is normal during a deploy' : ''
    const findings: Finding[] = []
    const versions = groupsOf(live, ({ version }) => version)
    if (versions.size > 1) {
      findings.push({
        id: 'code.version',
        severity,
        found: `live nodes run different versions of Piko: ${groupText(versions)}${during}`,
        remedy: 'deploy the same version to all nodes: npm install piko@latest; then restart the older nodes',
      })
    }
    const differing = differingJobs(live)
    if (differing.length > 0) {
      const [job = ''] = differing
      findings.push({
        id: 'code.jobs',
        severity,
        found: `live nodes have different code for ${namesText(differing)}: ${groupText(groupsOf(live, ({ jobs }) => jobs?.[job]))}${during}`,
        remedy:
          'deploy the same code to all nodes, and restart the older ones; piko nodes list shows when each started',
      })
    }
    return findings
  },
})

/** Returns the jobs whose digests differ between nodes. */
function differingJobs(nodes: readonly FleetNode[]): string[] {
  const digests = new Map<string, string>()
  const differing = new Set<string>()
  for (const { jobs = {} } of nodes) {
    for (const [id, digest] of Object.entries(jobs)) {
      const known = digests.get(id)
      if (known === undefined) digests.set(id, digest)
      else if (known !== digest) differing.add(id)
    }
  }
  return [...differing].sort()
}

function groupsOf(
  nodes: readonly FleetNode[],
  keyOf: (node: FleetNode) => string | undefined,
): Map<string, FleetNode[]> {
  const groups = new Map<string, FleetNode[]>()
  for (const node of nodes) {
    const key = keyOf(node)
    if (key !== undefined) groups.set(key, [...(groups.get(key) ?? []), node])
  }
  return groups
}

function groupText(groups: ReadonlyMap<string, readonly FleetNode[]>): string {
  return [...groups]
    .map(([key, nodes]) => `${key} on ${namesText(nodes.map(({ host, pid }) => `${host} ${pid}`))}`)
    .join('; ')
}
