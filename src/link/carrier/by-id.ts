/** How many recent ids have a fixed place in the array. Must be a power of two. */
const RECENT = 256

interface Numbered {
  readonly id: number | undefined
}

/**
 * Open messages by their ids, which increase by two. Works like a `Map`, but creates no garbage. A `Map` that is filled and emptied
 * constantly creates new tables. The old tables keep their messages in memory until the next full garbage collection.
 */
export class ById<T extends Numbered> {
  /** The messages with recent ids, each at its fixed place. */
  readonly #recent: (T | undefined)[] = []
  /** Messages that are still open after many newer ones have begun. */
  readonly #old = new Map<number, T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  get(id: number): T | undefined {
    const found = this.#recent[placeOf(id)]
    if (found?.id === id) return found
    return this.#old.size === 0 ? undefined : this.#old.get(id)
  }

  /** Adds a message with a new id. */
  add(message: T): void {
    const id = message.id as number
    const place = placeOf(id)
    const before = this.#recent[place]
    if (before) this.#old.set(before.id as number, before)
    this.#recent[place] = message
    this.#size++
  }

  delete(id: number): void {
    const place = placeOf(id)
    if (this.#recent[place]?.id === id) {
      this.#recent[place] = undefined
      this.#size--
    } else if (this.#old.delete(id)) this.#size--
  }

  /** Returns all messages, in no particular order. */
  all(): T[] {
    return [...this.#old.values(), ...this.#recent.filter((message) => message !== undefined)]
  }

  clear(): void {
    this.#recent.length = 0
    this.#old.clear()
    this.#size = 0
  }
}

function placeOf(id: number): number {
  return (id >>> 1) % RECENT
}
