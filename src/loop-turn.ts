import { setImmediate } from 'node:timers'

/** The longest time without a turn of the event loop, in milliseconds, before a statement waits for a turn. */
const MAX_WITHOUT_TURN_MS = 10
/**
 * The same limit inside a transaction. It is longer, so that a short transaction ends first: it holds the write lock, and a handler that
 * blocks the event loop in that turn would block all writes.
 */
const MAX_IN_TRANSACTION_MS = 20

/**
 * Lets the event loop turn between statements. `node:sqlite` answers synchronously, so an awaited statement continues in the same turn.
 * During a loop of such statements, no timer, socket or signal would be handled.
 *
 * Time is measured from the first statement after a turn. It includes the statements and all code between them.
 */
class LoopTurn {
  #since: number | undefined
  #next: Promise<void> | undefined

  /** Whether a statement should wait for the next turn before it starts. */
  isDue(inTransaction: boolean): boolean {
    return this.hasHeld(inTransaction ? MAX_IN_TRANSACTION_MS : MAX_WITHOUT_TURN_MS)
  }

  /** Whether the event loop has had no turn for this long. Needs to be called regularly: the first call in a turn starts the clock. */
  hasHeld(ms: number): boolean {
    const now = performance.now()
    if (this.#since === undefined) {
      this.#since = now
      setImmediate(() => (this.#since = undefined))
      return false
    }
    return now - this.#since >= ms
  }

  /** Resolves in the next turn. All callers share one promise. */
  next(): Promise<void> {
    return (this.#next ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#next = undefined
        resolve()
      })
    }))
  }
}

/** Shared by all code on this thread's event loop. */
export const loopTurn = new LoopTurn()

/** The number of items between two readings of the clock. */
const SLICE = 50

/** Maps many items in slices, and lets the event loop turn in between. Maps a few items in the current turn. */
export async function mapInTurns<T, U>(items: readonly T[], fn: (item: T, index: number) => U): Promise<U[]> {
  const mapped: U[] = []
  // A copy, because the caller may change the list between slices.
  const given = items.slice()
  for (let from = 0; from < given.length; from += SLICE) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    const end = Math.min(from + SLICE, given.length)
    for (let index = from; index < end; index++) mapped.push(fn(given[index] as T, index))
  }
  return mapped
}
