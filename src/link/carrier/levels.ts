import { Fifo, type Place } from '../../resource/fifo.ts'
import { LEVELS } from '../wire/frame.ts'

/** Every this many pieces, one belongs to the lowest waiting level, so that no level starves. */
const LOWEST_EACH = 16

/** Decides whose piece is sent next: the highest waiting level, in turn within a level. Pure. */
export class Levels<T> {
  readonly #queues = Array.from({ length: LEVELS }, () => new Fifo<T>())
  readonly #places = new Map<T, { readonly level: number; readonly place: Place<T> }>()
  #pieces = 0

  get size(): number {
    return this.#places.size
  }

  /** The number of waiting messages of each level. */
  get waiting(): readonly number[] {
    return this.#queues.map(({ size }) => size)
  }

  /** Adds it at the end of its level, unless it waits already. */
  add(item: T, level: number): void {
    if (this.#places.has(item)) return
    const place = (this.#queues[level] as Fifo<T>).push(item)
    this.#places.set(item, { level, place })
  }

  remove(item: T): void {
    const found = this.#places.get(item)
    if (!found) return
    this.#places.delete(item)
    this.#queues[found.level]?.remove(found.place)
  }

  /**
   * Takes the next one out; to send a further piece it must be added again.
   *
   * @param mayGo whether pieces of a level may be sent now. The turn of the lowest level ignores it
   */
  take(mayGo: (level: number) => boolean): T | undefined {
    const isTurnOfLowest = (this.#pieces + 1) % LOWEST_EACH === 0
    const level = isTurnOfLowest
      ? this.#queues.findLastIndex(({ size }) => size > 0)
      : this.#queues.findIndex(({ size }) => size > 0)
    if (level === -1 || (!isTurnOfLowest && !mayGo(level))) return undefined
    const item = this.#queues[level]?.first
    if (item === undefined) return undefined
    this.#pieces++
    this.remove(item)
    return item
  }
}
