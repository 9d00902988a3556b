import { say } from '../../say.ts'

const PATIENCE_MS = 2_000

/**
 * Lets the process end by itself. A job's module may have left something open (a pool that no resource closes, a timer) that would keep it
 * alive forever. So after two seconds it prints what is open, and the process ends.
 */
export function leave(): void {
  const timer = setTimeout(() => {
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ')
    say(`piko: the work is done, but the jobs' code keeps the process alive (${open}); leaving anyway`)
    process.exit()
  }, PATIENCE_MS)
  timer.unref()
}
