import { say } from '../../say.ts'

const PATIENCE_MS = 2_000

/**
 * Lets the process end by itself. What a job's module has left open (a pool that no resource closes, a timer) would keep
 * it alive for ever, so after two seconds it is named and the process ends.
 */
export function leave(): void {
  const timer = setTimeout(() => {
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ')
    say(`piko: the work is done, but the jobs' code keeps the process alive (${open}); leaving anyway`)
    process.exit()
  }, PATIENCE_MS)
  timer.unref()
}
