import { say } from '../../say.ts'

/** Two seconds, divided into checks: on an overloaded machine the checks are late, so the wait is longer. */
const LOOK_MS = 100
const MAX_LOOKS = 20

/**
 * Lets the process end by itself. A job's module may have left something open (a pool that no resource closes, a timer) that would keep it
 * alive forever. So after two seconds it prints what is open, and the process ends.
 */
export function leave(): void {
  let looks = 0
  const timer = setInterval(() => {
    if (++looks < MAX_LOOKS) return
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ')
    say(`piko: the work is done, but the jobs' code keeps the process alive (${open}); leaving anyway`)
    process.exit()
  }, LOOK_MS)
  timer.unref()
}
