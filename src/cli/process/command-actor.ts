import { processName, withActor } from '../../operations/audit/acting.ts'

let reason: string | undefined

/** Stores the `--reason` of the command of this process. */
export function noteReason(given: string | undefined): void {
  reason = given
}

/** Records the user of this process as the author of the changes that `fn` requests: the audit contains `user@host` and `--reason`. */
export function asCommand<T>(fn: () => T): T {
  return withActor({ kind: 'cli', name: processName(), role: 'admin' }, reason, fn)
}
