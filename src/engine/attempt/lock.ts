import { PikoError } from '../../errors.ts'
import type { HeldLock } from '../../job/context.ts'

/** The methods of `Locks` that a lock uses. */
export interface LockHolder {
  release(lock: Lock): Promise<void>
  abandon(lock: Lock): () => Promise<void>
  /** Whether the lock's lease is certainly still valid. */
  isHeld(lock: Lock): boolean
}

/** A lock that this process holds. Implements `HeldLock`. */
export class Lock implements HeldLock {
  readonly name: string
  readonly fence: number
  readonly lost: AbortSignal
  readonly #lost = new AbortController()
  readonly #holder: LockHolder

  constructor(name: string, fence: number, holder: LockHolder) {
    this.name = name
    this.fence = fence
    this.lost = this.#lost.signal
    this.#holder = holder
  }

  /** Whether the lease is still valid by the clock. May become false before the loss is reported. */
  get isHeld(): boolean {
    return !this.lost.aborted && this.#holder.isHeld(this)
  }

  async release(): Promise<void> {
    await this.#holder.release(this)
  }

  /**
   * Stops the renewals without releasing the lock. The lease then expires, and this process is no longer the holder.
   *
   * @returns a function that releases the lock early; call it when the protected work has ended
   */
  abandon(): () => Promise<void> {
    return this.#holder.abandon(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  /** Marks the lock as lost, because another owner may hold it from now on. */
  lose(why: string): void {
    this.#lost.abort(
      new PikoError(
        'LOCK_LOST',
        `lock "${this.name}" with fence ${this.fence} is lost: ${why}; stop the work that it protects`,
        {
          details: { name: this.name, fence: this.fence },
        },
      ),
    )
  }
}
