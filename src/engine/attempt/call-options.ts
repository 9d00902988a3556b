import { checkedCall } from '../../call-options.ts'
import type { RunLockOptions } from '../../job/context.ts'
import { anAbortSignal, anything, type OptionChecks } from '../../options.ts'
import type { LockOptions } from './lock-options.ts'

const CALLS = {
  'app.locks.acquire': { ttl: anything, wait: anything, signal: anAbortSignal } satisfies OptionChecks<LockOptions>,
  'ctx.lock': { ttl: anything, wait: anything } satisfies OptionChecks<RunLockOptions>,
}

/**
 * Reads the options of a call that handlers may make. Reads each option once. Later code checks instants and durations.
 *
 * @throws PikoError `USAGE` that names all their problems
 */
export function optionsOf<T extends object>(call: keyof typeof CALLS, given: T): T {
  return checkedCall(call, CALLS[call], given)
}
