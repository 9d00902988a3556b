import type { ServerFacts } from '../../../store/doctor/server-facts.ts'
import { check } from '../check.ts'
import { sizeText } from '../finding.ts'

const WANTED_BYTES = 64 * 1_024 ** 2

/** Finds a small redo log. With it, the server flushes pages during a burst of claims. */
export const redoLog = check({
  id: 'redo-log',
  needs: ['server'],
  find: ({ server }) => {
    const bytes = capacityOf(server)
    if (bytes === undefined || bytes >= WANTED_BYTES) return []
    const isDynamic = server.global['innodb_redo_log_capacity'] !== undefined
    const name = isDynamic ? 'innodb_redo_log_capacity' : 'innodb_log_file_size'
    return [
      {
        id: 'redo-log',
        severity: 'warning',
        found: `the redo log of ${server.location} holds ${sizeText(bytes)}: bursts of claims wait for flushes; expected at least ${sizeText(WANTED_BYTES)}`,
        remedy: isDynamic
          ? `SET PERSIST ${name} = 1073741824`
          : `in my.cnf, [mysqld]: ${name} = 1G; then restart the server`,
      },
    ]
  },
})

/** Returns the size of the redo log; undefined if the server does not report it. */
function capacityOf({ store, global }: ServerFacts): number | undefined {
  if (store === 'sqlite') return undefined
  const capacity = Number(global['innodb_redo_log_capacity'] ?? 0)
  if (capacity > 0) return capacity
  const files = Number(global['innodb_log_files_in_group'] ?? 1)
  const size = Number(global['innodb_log_file_size'] ?? 0)
  return size > 0 ? size * files : undefined
}
