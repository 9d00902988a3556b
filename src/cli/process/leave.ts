import { say } from '../../say.ts'

/** Two seconds, divided into checks. On an overloaded machine each check is late, so the process has more time to end. */
const LOOK_MS = 100
const MAX_LOOKS = 20
/**
 * The number of checks while only file operations are open. Such an operation ends by itself, but may take seconds on an overloaded disk.
 */
const MAX_FILE_LOOKS = 300
/** Operations that end by themselves, and streams that keep the process alive only through such operations. */
const ENDS_BY_ITSELF = /^(?:FSReqCallback|FSReqPromise|PipeWrap|TTYWrap)$/

/**
 * Lets the process end by itself. A job's module may have left something open (a pool that no resource closes, a timer) that would keep it
 * alive forever. So after two seconds it prints what is open, and the process ends.
 */
export function leave(): void {
  let looks = 0
  const timer = setInterval(() => {
    if (++looks < MAX_LOOKS) return
    const types = [...new Set(process.getActiveResourcesInfo())]
    if (looks < MAX_FILE_LOOKS && types.every((type) => ENDS_BY_ITSELF.test(type))) return
    const open = types.join(', ')
    say(`piko: the work is done, but the jobs' code keeps the process alive (${open}); exiting anyway`)
    process.exit()
  }, LOOK_MS)
  timer.unref()
}
