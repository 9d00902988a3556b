import { counted } from '../../../counted.ts'
import { check } from '../check.ts'
import type { Finding } from '../finding.ts'

/** How many connections each node opens in addition to its pool: one, for the heartbeat. */
const BESIDES = 1
/** The maximum number of runs per connection. With more, the app logs a warning when it starts. */
const MAX_RUNS_PER_CONNECTION = 20
const NEARLY = 0.9

/** Finds connection pools that together exceed the server's limit, or that are too small for this node's runs. */
export const pools = check({
  id: 'pools',
  needs: ['settings', 'server', 'fleet'],
  find: ({ settings: { settings }, server: { store, global, status, location }, fleet: { nodes } }) => {
    if (store === 'sqlite') return []
    const { poolSize } = settings.mysql
    const { concurrency } = settings.piko
    const most = Number(global['max_connections'] ?? Infinity)
    const live = Math.max(1, nodes.filter(({ expiredAgoMs }) => expiredAgoMs <= 0).length)
    const open = Number(status['Threads_connected'] ?? 0)
    const needed = Math.ceil(concurrency / MAX_RUNS_PER_CONNECTION)
    const findings: Finding[] = []
    if (live * (poolSize + BESIDES) > most || open > most * NEARLY) {
      findings.push({
        id: 'pools.server',
        severity: open > most * NEARLY ? 'error' : 'warning',
        found: `${counted(live, 'node')} may open ${live * (poolSize + BESIDES)} connections ([mysql] pool_size = ${poolSize}, and ${BESIDES} for the heartbeat); ${location} allows ${most} in all, and ${open} are open`,
        remedy: `SET GLOBAL max_connections = ${Math.max(live * (poolSize + BESIDES), open) * 2}; or lower [mysql] pool_size to ${Math.max(2, Math.floor(most / live) - BESIDES)}`,
      })
    }
    if (poolSize < needed) {
      findings.push({
        id: 'pools.node',
        severity: 'warning',
        found: `up to ${concurrency} concurrent runs share ${counted(poolSize, 'connection')}: runs that use app.sql, ctx.commit or sinks wait`,
        remedy: `[mysql]\npool_size = ${needed}`,
      })
    }
    return findings
  },
})
