import { counted } from '../../../counted.ts'
import { check } from '../check.ts'
import { spanText } from '../finding.ts'

/** How long ended runs may stay after they should have been deleted. The leader deletes old runs at least once per day. */
const LATE_MS = 2 * 86_400_000
/** A small number of old runs may be kept for other reasons. */
const MIN_RUNS = 20

/** Finds ended runs that should have been deleted long ago. */
export const history = check({
  id: 'history',
  needs: ['sizes', 'settings', 'fleet'],
  find: ({ sizes: { oldest }, settings: { settings }, fleet: { nodes } }) => {
    const { keepSucceededMs, keepFailedMs } = settings.history
    const old = oldest.flatMap(({ state, endedAgoMs = 0 }) => {
      const keepMs = state === 'failed' || state === 'cancelled' ? keepFailedMs : keepSucceededMs
      return keepMs > 0 && endedAgoMs > keepMs + LATE_MS ? [endedAgoMs] : []
    })
    if (
      old.length < MIN_RUNS ||
      !nodes.some(({ expiredAgoMs, startedAgoMs }) => expiredAgoMs <= 0 && startedAgoMs > LATE_MS)
    )
      return []
    return [
      {
        id: 'history',
        severity: 'warning',
        found: `at least ${counted(old.length, 'ended run')} should have been deleted by [history]; the oldest ended ${spanText(Math.max(...old))} ago`,
        remedy:
          'piko runs prune --older-than 30d; and check the log of the leader for failures of the loop "retention": piko nodes leader',
      },
    ]
  },
})
