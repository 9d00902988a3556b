import { Fifo, type Place } from '../../resource/fifo.ts'
import { LEVELS } from '../wire/frame.ts'

/** One of this many pieces comes from the least urgent level that is waiting, so that every level makes progress. */
const LOWEST_EACH = 16

/** Something that is waiting to be sent. It stores its own place in the queue, because a `Map` would be filled and emptied constantly. */
export interface Waiting {
  readonly level: number
  /** The place of this message in the queue; undefined if it is not waiting. */
  place: Place<unknown> | undefined
}

/**
 * Decides which message sends its next piece: a message of the most urgent level that is waiting. Level 0 is the most urgent. Messages of
 * the same level take turns. Pure.
 */
export class Levels<T extends Waiting> {
  readonly #queues = Array.from({ length: LEVELS }, () => new Fifo<T>())
  #size = 0
  #pieces = 0

  get size(): number {
    return this.#size
  }

  /** How many messages are waiting on each level. */
  get waiting(): readonly number[] {
    return this.#queues.map(({ size }) => size)
  }

  /** Adds a message at the end of its level, unless it is already waiting. */
  add(item: T): void {
    if (item.place) return
    item.place = (this.#queues[item.level] as Fifo<T>).push(item)
    this.#size++
  }

  remove(item: T): void {
    const { place } = item
    if (!place) return
    item.place = undefined
    this.#queues[item.level]?.remove(place as Place<T>)
    this.#size--
  }

  /** Removes and returns all messages. */
  drain(): T[] {
    const all: T[] = []
    for (const queue of this.#queues)
      for (let item = queue.first; item !== undefined; item = queue.first) {
        this.remove(item)
        all.push(item)
      }
    return all
  }

  /**
   * Removes and returns the next message. To send another piece, the message must be added again.
   *
   * @param mayGo whether pieces of a level may be sent now. Not called when it is the least urgent level's turn
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
