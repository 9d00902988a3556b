import type { Lock } from '../engine/attempt/lock.ts'
import type { LockOptions } from '../engine/attempt/lock-options.ts'
import { USER_LOCKS } from '../engine/attempt/locks.ts'
import { optionsOf } from './call-options.ts'
import type { LockFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'

/** A lock that is held now. */
export interface HeldNamedLock {
  readonly name: string
  /** The fence of the lock. It increases with every change of owner. */
  readonly fence: number
  /** When the lock's lease ends if it is not renewed, by the database's clock. */
  readonly expiresAt: Date
}

/** `app.locks`: locks across all nodes, for work outside of jobs. In a handler, use `ctx.lock`. */
export class NamedLocks {
  readonly #reach: () => Pick<Reach, 'store' | 'locks'>

  constructor(reach: () => Pick<Reach, 'store' | 'locks'>) {
    this.#reach = reach
  }

  /**
   * Takes a lock that only one owner on this database can hold at a time.
   *
   * @param options.ttl how long the lock lasts if it is not renewed; this app renews it automatically; default `'30s'`, at least one second
   * @param options.wait how long to wait for the lock; default `'30s'`
   * @throws PikoError `LOCK_BUSY` if it is still held after `wait`, `USAGE`, `DURATION_INVALID`, `CHANGE_REFUSED`, `STOPPED`
   * @throws the reason of `signal`
   * @example
   * await using lock = await app.locks.acquire('ledger-export', { ttl: '1m' })
   */
  async acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    return this.#reach().locks.acquire(name, options)
  }

  /**
   * Lists the locks that are held now, by name.
   *
   * @throws PikoError `ROW_BROKEN`
   */
  async list(filter: LockFilter = {}): Promise<HeldNamedLock[]> {
    const { store } = this.#reach()
    const { limit = 100, after } = optionsOf('locks.list', filter)
    const held = await store.locks.held(USER_LOCKS, limit, after)
    return held.map((lock) => ({ ...lock, name: lock.name.slice(USER_LOCKS.length) }))
  }
}
