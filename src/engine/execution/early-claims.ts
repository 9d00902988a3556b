import type { Clock } from '../../clock.ts'

/** Claims with the same due time. */
interface Group<T> {
  readonly items: readonly T[]
  /** Milliseconds on the monotonic clock. */
  readonly dueAt: number
  readonly over: AbortController
}

/** Keeps early claims until they are due. */
export class EarlyClaims<T> {
  readonly #clock: Clock
  readonly #onDue: (item: T) => void
  readonly #groups = new Set<Group<T>>()
  #size = 0

  /** @param onDue receives each claim when it is due, never earlier */
  constructor(clock: Clock, onDue: (item: T) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  get size(): number {
    return this.#size
  }

  /** Keeps these claims until they are due. @param ms milliseconds until the items are due */
  add(items: readonly T[], ms: number): void {
    const group = { items, dueAt: this.#clock.monotonic() + ms, over: new AbortController() }
    this.#groups.add(group)
    this.#size += items.length
    void this.#wait(group)
  }

  /** Removes and returns all claims, so `onDue` does not receive them. */
  takeAll(): T[] {
    const groups = [...this.#groups]
    for (const group of groups) {
      this.#remove(group)
      group.over.abort()
    }
    return groups.flatMap(({ items }) => items)
  }

  async #wait(group: Group<T>): Promise<void> {
    const { items, dueAt, over } = group
    // A timer may fire slightly too early.
    for (let leftMs; (leftMs = dueAt - this.#clock.monotonic()) > 0;) {
      await this.#clock.sleep(Math.ceil(leftMs), over.signal)
      if (over.signal.aborted) return
    }
    this.#remove(group)
    for (const item of items) this.#onDue(item)
  }

  #remove(group: Group<T>): void {
    this.#groups.delete(group)
    this.#size -= group.items.length
  }
}
