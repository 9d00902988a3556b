import type { HeldLock, RunLockOptions } from '../../job/context.ts'
import { optionsOf } from './call-options.ts'
import type { Locks } from './locks.ts'
import type { Logger } from '../../logger.ts'

/** The locks of one attempt. When the attempt ends, those that the handler still holds are released. */
export class RunLocks {
  readonly #locks: Pick<Locks, 'acquire'>
  readonly #signal: AbortSignal
  readonly #taken: HeldLock[] = []

  constructor(locks: Pick<Locks, 'acquire'>, signal: AbortSignal) {
    this.#locks = locks
    this.#signal = signal
  }

  // A bound function, because handlers destructure their context.
  readonly acquire = async (name: string, options: RunLockOptions = {}): Promise<HeldLock> => {
    const lock = await this.#locks.acquire(name, { ...optionsOf('ctx.lock', options), signal: this.#signal })
    this.#taken.push(lock)
    return lock
  }

  /** Releases the locks. If the database does not answer, they expire with their leases. */
  async release(log: Logger): Promise<void> {
    for (const end of await Promise.allSettled(this.#taken.map((lock) => lock.release()))) {
      if (end.status === 'rejected')
        log.warn({ err: end.reason as unknown }, 'a lock of the run could not be released and will expire')
    }
  }
}
