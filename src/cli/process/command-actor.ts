import { processName, withActor } from '../../operations/audit/acting.ts'

let reason: string | undefined

/** Remembers the `--reason` of the command of this process. */
export function noteReason(given: string | undefined): void {
  reason = given
}

/** Makes the user of this process responsible for the changes that `fn` requests: the audit has `user@host` and `--reason`. */
export function asCommand<T>(fn: () => T): T {
  return withActor({ kind: 'cli', name: processName(), role: 'admin' }, reason, fn)
}
