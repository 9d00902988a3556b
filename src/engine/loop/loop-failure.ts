import { databaseFault } from '../../sql/database-faults.ts'
import { toError } from '../../errors.ts'
import { type Events } from '../../events.ts'

/** Reports a loop's failure, and the kind of fault if the database is the cause. `failures` is the number of failures in a row. */
export function reportFailure(
  events: Events,
  { loop, thrown, retryInMs, failures }: { loop: string; thrown: unknown; retryInMs: number; failures: number },
): void {
  events.emit('loop.failed', { loop, error: toError(thrown), retryInMs, fault: databaseFault(thrown), failures })
}
