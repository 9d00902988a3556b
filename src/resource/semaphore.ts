import { toError } from '../errors.ts'

interface Waiter {
  readonly count: number
  grant(): void
  refuse(error: Error): void
}

/**
 * Counts slots. If none is free, requests wait in a queue, first in, first out. A later, smaller request is never served before an earlier
 * one.
 */
export class Semaphore {
  readonly size: number
  #active = 0
  // A set keeps the order of arrival, and can remove any waiter in constant time.
  readonly #waiters = new Set<Waiter>()
  readonly #whenIdle: (() => void)[] = []

  /** @param size slots; `Infinity` for no limit */
  constructor(size: number) {
    this.size = size
  }

  /** The number of taken slots. */
  get active(): number {
    return this.#active
  }

  /** The number of requests in the queue. */
  get waiting(): number {
    return this.#waiters.size
  }

  /**
   * Takes `count` slots together, or waits until this many are free.
   *
   * @throws the signal's reason if it aborts first; the waiter has then left the queue
   */
  async acquire(signal?: AbortSignal, count = 1): Promise<void> {
    if (count > this.size) throw new RangeError(`${count} slots were requested of ${this.size}`)
    if (signal?.aborted) throw toError(signal.reason)
    if (this.tryAcquire(count)) return
    await new Promise<void>((resolve, reject) => {
      const leave = (): void => {
        this.#waiters.delete(waiter)
        reject(toError(signal?.reason))
        // The request that left may have blocked later ones that need fewer slots.
        this.#grant()
      }
      const settled = (settle: () => void): void => {
        signal?.removeEventListener('abort', leave)
        settle()
      }
      const waiter: Waiter = {
        count,
        grant: () => settled(resolve),
        refuse: (error) => settled(() => reject(error)),
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', leave, { once: true })
    })
  }

  /** Takes `count` slots together if they are free and no request waits. Returns whether it has taken them. */
  tryAcquire(count = 1): boolean {
    if (this.#waiters.size > 0 || this.#active + count > this.size) return false
    this.#active += count
    return true
  }

  /** Gives back `count` slots and serves the next waiters. */
  release(count = 1): void {
    if (count > this.#active) throw new RangeError(`${count} slots were returned, but only ${this.#active} are taken`)
    this.#active -= count
    this.#grant()
    if (this.#active > 0) return
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /** Resolves when no slot is taken. */
  async idle(): Promise<void> {
    if (this.#active > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve))
  }

  /** Rejects all waiters with this error. Slots that are already taken stay taken. */
  refuseWaiting(error: Error): void {
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const waiter of waiters) waiter.refuse(error)
  }

  #grant(): void {
    for (const waiter of this.#waiters) {
      if (this.#active + waiter.count > this.size) return
      this.#waiters.delete(waiter)
      this.#active += waiter.count
      waiter.grant()
    }
  }
}
