import { say } from '../../say.ts'

/**
 * The interval of the checks. All checks together take two seconds. On an overloaded machine each check is late, so the process has more
 * time to end.
 */
const LOOK_MS = 100
const MAX_LOOKS = 20
/** The maximum number of checks while only the operations of `ENDS_BY_ITSELF` are open. They may take seconds on an overloaded disk. */
const MAX_FILE_LOOKS = 300
/** Operations that finish on their own, and streams that keep the process alive only through such operations. */
const ENDS_BY_ITSELF = /^(?:FSReqCallback|FSReqPromise|PipeWrap|TTYWrap)$/

/**
 * Waits until the process ends on its own. The module of a job may have left something open, such as a timer or a pool that no resource
 * closes. It would keep the process alive forever. So after two seconds, or up to 30 seconds if only file operations are open, this prints
 * what is open and ends the process.
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
