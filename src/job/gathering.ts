import { isPikoError, type PikoError } from '../errors.ts'

let gather: ((fault: PikoError) => void) | undefined

/**
 * Collects every fault of the jobs that `load` defines. Their definitions then do not throw. Used for a file whose import stopped at the
 * first fault. Errors of `load` itself are ignored: they are already known, or they result from a missing job.
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

/**
 * Returns the result of `define`. If faults are being collected, stores a fault instead of throwing it, and returns the result of
 * `otherwise`.
 */
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
