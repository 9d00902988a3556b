import { processName, withActor } from '../../operations/audit/acting.ts'

let reason: string | undefined

/** Stores the `--reason` of the command that this process runs. */
export function noteReason(given: string | undefined): void {
  reason = given
}

/** Makes the user of this process the author of the changes in `fn`: the audit records `user@host` and `--reason`. */
export function asCommand<T>(fn: () => T): T {
  return withActor({ kind: 'cli', name: processName(), role: 'admin' }, reason, fn)
}
