import { counted } from '../../../counted.ts'
import { check } from '../check.ts'
import { namesText, spanText } from '../finding.ts'

const LATE_MS = 900_000

/** Finds runs that have been due for a long time although there are live nodes. */
export const queue = check({
  id: 'queue',
  needs: ['runs', 'fleet'],
  find: ({ runs: { due }, fleet: { nodes } }) => {
    const late = due.filter(({ forMs }) => forMs >= LATE_MS).sort((one, other) => other.forMs - one.forMs)
    const [oldest] = late
    // If there are no nodes, the check `fleet` reports that.
    if (!oldest || !nodes.some(({ expiredAgoMs }) => expiredAgoMs <= 0)) return []
    const jobs = [...new Set(late.map(({ jobId }) => jobId))]
    return [
      {
        id: 'queue',
        severity: 'warning',
        found: `${counted(late.length, 'run')} of ${namesText(jobs)} have been due for up to ${spanText(oldest.forMs)}, and no node has begun them`,
        remedy: `piko why ${oldest.jobId}; piko limits list; if the nodes are busy: piko nodes set concurrency=200, or start more nodes`,
      },
    ]
  },
})
