import { setImmediate } from 'node:timers'

/** Longest time without a turn of the event loop, in milliseconds, before a statement waits for one. */
const MAX_WITHOUT_TURN_MS = 10
/**
 * The same inside of a transaction. A short one that has begun comes to its end first: it holds the write lock, and a handler that
 * blocks the loop in that turn would hold it on.
 */
const MAX_IN_TRANSACTION_MS = 20

/**
 * Gives the event loop its turns. `node:sqlite` answers without leaving the process, so an awaited statement continues in the same
 * turn of the loop: a loop of such statements would let no timer, socket or signal through.
 *
 * Time is measured from the first statement after a turn: it covers the statements and all that ran between them.
 */
class LoopTurn {
  #since: number | undefined
  #next: Promise<void> | undefined

  /** Whether a statement should wait for the next turn before it begins. */
  isDue(inTransaction: boolean): boolean {
    const now = performance.now()
    if (this.#since === undefined) {
      this.#since = now
      setImmediate(() => (this.#since = undefined))
      return false
    }
    return now - this.#since >= (inTransaction ? MAX_IN_TRANSACTION_MS : MAX_WITHOUT_TURN_MS)
  }

  /** Resolves in the next turn; one promise for all who wait. */
  next(): Promise<void> {
    return (this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = undefined
        resolve()
      })
    }))
  }
}

/** The one of this thread's event loop. */
export const loopTurn = new LoopTurn()

/** Items looked at before the clock is. */
const SLICE = 50

/** Maps many items in slices, so that the event loop has its turns. Few items are mapped in this turn. */
export async function mapInTurns<T, U>(items: readonly T[], fn: (item: T, index: number) => U): Promise<U[]> {
  const mapped: U[] = []
  // Of the list as it is now: the caller goes on in the turns between.
  const given = items.slice()
  for (let from = 0; from < given.length; from += SLICE) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    const end = Math.min(from + SLICE, given.length)
    for (let index = from; index < end; index++) mapped.push(fn(given[index] as T, index))
  }
  return mapped
}
