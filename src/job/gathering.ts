import { isPikoError, type PikoError } from '../errors.ts'

let gather: ((fault: PikoError) => void) | undefined

/**
 * Every fault of the jobs that are defined while `load` is under way: none of them throws meanwhile. For a file that could not be loaded
 * because of the first of them. What `load` itself throws is left out: it is known, or follows from a job that is missing.
 */
export async function faultsDuring(load: () => Promise<unknown>): Promise<readonly PikoError[]> {
  const faults: PikoError[] = []
  gather = (fault) => faults.push(fault)
  try {
    await load().catch(() => {})
  } finally {
    gather = undefined
  }
  return faults
}

/** What `define` makes; while faults are gathered, `otherwise` in place of what it throws. */
export function orGathered<T>(define: () => T, otherwise: () => T): T {
  if (!gather) return define()
  try {
    return define()
  } catch (thrown) {
    if (!isPikoError(thrown)) throw thrown
    gather(thrown)
    return otherwise()
  }
}
