import { check } from '../check.ts'
import { spanText } from '../finding.ts'

const MAX_SKEW_MS = 1_000
/** If the difference between two clocks is this large or larger, the finding is an error: times in logs and in rows can't be compared. */
const ERROR_MS = 30_000

/** Finds a difference between the clock of this host and that of the database. */
export const clockSkew = check({
  id: 'clock',
  needs: ['clock', 'server'],
  find: ({ clock: { aheadMs, withinMs }, server: { location } }) => {
    const skewMs = Math.abs(aheadMs) - withinMs
    if (skewMs < MAX_SKEW_MS) return []
    return [
      {
        id: 'clock',
        severity: skewMs < ERROR_MS ? 'warning' : 'error',
        found: `the clock of ${location} is ${spanText(Math.abs(aheadMs))} ${aheadMs > 0 ? 'ahead of' : 'behind'} the clock of this host; ticks and leases use the clock of the database`,
        remedy: 'on the host whose clock is wrong: timedatectl set-ntp true; check with: timedatectl timesync-status',
      },
    ]
  },
})
