import { PikoError } from '../../errors.ts'
import type { HeldLock } from '../../job/context.ts'

/** A lock that this process holds; implements `HeldLock`. */
export class Lock implements HeldLock {
  readonly name: string
  readonly fence: number
  readonly lost: AbortSignal
  readonly #lost = new AbortController()
  readonly #release: (lock: Lock) => Promise<void>
  readonly #isHeld: (lock: Lock) => boolean

  /** @param release releases this lock @param isHeld whether its lease can still be trusted */
  constructor(
    name: string,
    fence: number,
    release: (lock: Lock) => Promise<void>,
    isHeld: (lock: Lock) => boolean = () => true,
  ) {
    this.name = name
    this.fence = fence
    this.lost = this.#lost.signal
    this.#release = release
    this.#isHeld = isHeld
  }

  /** Whether its lease still lasts by the clock. May be false before the loss is reported. */
  get isHeld(): boolean {
    return !this.lost.aborted && this.#isHeld(this)
  }

  async release(): Promise<void> {
    await this.#release(this)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  /** Records that the lock is lost: from now on another owner may hold it. */
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
