import { type Lock } from '../engine/attempt/lock.ts'
import { type LockOptions } from '../engine/attempt/lock-options.ts'
import { USER_LOCKS } from '../engine/attempt/locks.ts'
import { optionsOf } from './call-options.ts'
import { type LockFilter } from './operation-options.ts'
import { type Reach } from './reach.ts'

/** A lock that somebody holds. */
export interface HeldNamedLock {
  readonly name: string
  /** Grows with every owner. */
  readonly fence: number
  /** When its lease ends unless it is renewed, on the database's clock. */
  readonly expiresAt: Date
}

/** Locks over all nodes: `app.locks`, for what runs outside of jobs; a handler has `ctx.lock`. */
export class NamedLocks {
  readonly #reach: () => Pick<Reach, 'store' | 'locks'>

  constructor(reach: () => Pick<Reach, 'store' | 'locks'>) {
    this.#reach = reach
  }

  /**
   * Takes a lock that one owner of all on this database holds at a time.
   *
   * @param options.ttl how long it stands without being renewed, which this app does; default `'30s'`, at least one second
   * @param options.wait default `'30s'`
   * @throws PikoError `LOCK_BUSY` when it is still held after `wait`, `USAGE`, `DURATION_INVALID`, `STOPPED`
   * @throws the reason of `signal`
   * @example
   * await using lock = await app.locks.acquire('ledger-export', { ttl: '1m' })
   */
  async acquire(name: string, options: LockOptions = {}): Promise<Lock> {
    return this.#reach().locks.acquire(name, options)
  }

  /** Locks that are held now, by name. @throws PikoError `ROW_BROKEN` */
  async list(filter: LockFilter = {}): Promise<HeldNamedLock[]> {
    const { store } = this.#reach()
    const { limit = 100 } = optionsOf('locks.list', filter)
    const held = await store.locks.held(USER_LOCKS, limit)
    return held.map((lock) => ({ ...lock, name: lock.name.slice(USER_LOCKS.length) }))
  }
}
