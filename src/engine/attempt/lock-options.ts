import type { RunLockOptions } from '../../job/context.ts'

/** The options of `app.locks.acquire`. */
export interface LockOptions extends RunLockOptions {
  /** Aborting this signal ends the wait. */
  readonly signal?: AbortSignal
}
