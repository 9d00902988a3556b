import { check } from '../check.ts'
import type { Finding } from '../finding.ts'

/** Finds a server that may lose commits in a power failure. */
export const durability = check({
  id: 'durability',
  needs: ['server'],
  find: ({ server: { store, global, location } }) => {
    if (store === 'sqlite') return []
    const findings: Finding[] = []
    const flush = global['innodb_flush_log_at_trx_commit'] ?? '1'
    if (flush !== '1') {
      findings.push({
        id: 'durability.commit',
        severity: 'warning',
        found: `innodb_flush_log_at_trx_commit of ${location} is ${flush}: after a power failure, the ends and claims of the last second are lost, and those runs run again`,
        remedy: 'SET GLOBAL innodb_flush_log_at_trx_commit = 1; and the same line in my.cnf, [mysqld]',
      })
    }
    const sync = global['sync_binlog'] ?? '1'
    if (global['log_bin'] === 'ON' && sync !== '1') {
      findings.push({
        id: 'durability.binlog',
        severity: 'info',
        found: `sync_binlog of ${location} is ${sync}: after a power failure, replicas may lack transactions that the server has`,
        remedy: 'SET GLOBAL sync_binlog = 1; and the same line in my.cnf, [mysqld]',
      })
    }
    return findings
  },
})
