import { type RunLockOptions } from '../../job/context.ts'

/** How `app.locks.acquire` takes a lock. */
export interface LockOptions extends RunLockOptions {
  /** Ends the wait. */
  readonly signal?: AbortSignal
}
