import { say } from '../../say.ts'

/** Two seconds, divided into checks. On an overloaded machine each check is late, so the process has more time to end. */
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
    say(`piko: the work is done, but the jobs' code keeps the process alive (${open}); exiting anyway`)
    process.exit()
  }, LOOK_MS)
  timer.unref()
}
