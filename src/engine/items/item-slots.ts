import type { Clock } from '../../clock.ts'
import { WaitingLine } from '../execution/waiting-line.ts'

export interface ItemSlotsParts<T> {
  /** How many functions may run at the same time: fewer while the event loop is late. */
  readonly concurrency: () => number
  readonly clock: Clock
  /** Starts the function of an item. Returns false if it did not start. */
  readonly begin: (item: T) => boolean
  /** Receives items that have waited too long for a slot, and those that are still waiting when the node stops. */
  readonly giveBack: (item: T) => void
}

/**
 * The slots for a node's items. While functions are short, items are claimed before a slot is free and wait for one. Otherwise slots would
 * be idle while the database answers. An item with a start time starts before the waiting ones, so that it is not late.
 */
export class ItemSlots<T> {
  readonly #parts: ItemSlotsParts<T>
  readonly #waiting: WaitingLine<T>
  /** Items whose start time has come but for which no slot was free. */
  readonly #inTime: T[] = []
  #used = 0
  #reserved = 0

  constructor(parts: ItemSlotsParts<T>) {
    this.#parts = parts
    this.#waiting = new WaitingLine(parts.clock, parts.giveBack)
  }

  /** How many functions are running. */
  get used(): number {
    return this.#used
  }

  /** How many items are waiting for a slot. */
  get waiting(): number {
    return this.#waiting.size + this.#inTime.length
  }

  /** How many items may be claimed in addition to the free slots. */
  get ahead(): number {
    return this.#waiting.isWorthWhile ? this.#parts.concurrency() : 0
  }

  /** Keeps a slot free for an item with a later start time. */
  reserve(): void {
    this.#reserved += 1
  }

  /** Frees a reserved slot that the item does not need. */
  unreserve(): void {
    this.#reserved -= 1
    this.#fill()
  }

  /** Starts an item at its start time, or as soon as a slot is free. */
  takeReserved(item: T): void {
    this.#reserved -= 1
    this.#inTime.push(item)
    this.#fill()
  }

  /** Starts an item, or makes it wait for a slot. */
  take(item: T): void {
    if (this.#hasSlot(this.#reserved) && this.waiting === 0) this.#start(item)
    else this.#waiting.push(item)
  }

  /** Frees the slot of an item whose function has ended, and starts the next item. */
  release(): void {
    this.#used -= 1
    this.#fill()
  }

  /** Records how long a function took. */
  took(ms: number): void {
    this.#waiting.took(ms)
  }

  /** Returns the waiting items to the queue. */
  giveBackAll(): void {
    for (const item of this.#inTime.splice(0)) this.#parts.giveBack(item)
    this.#waiting.giveBackAll()
  }

  /** Whether a slot is free. @param kept how many slots must stay free */
  #hasSlot(kept: number): boolean {
    return this.#used + kept < this.#parts.concurrency()
  }

  #fill(): void {
    for (;;) {
      const isInTime = this.#inTime.length > 0
      if (!this.#hasSlot(isInTime ? 0 : this.#reserved)) return
      const next = isInTime ? this.#inTime.shift() : this.#waiting.shift()
      if (next === undefined) return
      this.#start(next)
    }
  }

  #start(item: T): void {
    this.#used += 1
    if (!this.#parts.begin(item)) this.#used -= 1
  }
}
