import { setImmediate } from 'node:timers'

/** If the event loop has not had a turn for this long, in milliseconds, a statement waits for one. */
const MAX_WITHOUT_TURN_MS = 10
/**
 * The same limit for statements inside a transaction. It is longer, so that a short transaction ends without a wait. A transaction holds
 * the write lock: if a handler blocks the event loop during the turn, all writes would be blocked.
 */
const MAX_IN_TRANSACTION_MS = 20

/**
 * Makes sure that the event loop has turns between statements. `node:sqlite` answers synchronously, so code continues in the same turn
 * after an awaited statement. Without this, a loop of such statements would block timers, sockets and signals.
 *
 * Time is measured from the first statement after a turn, and includes the statements and all code between them.
 */
class LoopTurn {
  #since: number | undefined
  #next: Promise<void> | undefined

  /** Whether a statement should first wait for the next turn. */
  isDue(inTransaction: boolean): boolean {
    return this.hasHeld(inTransaction ? MAX_IN_TRANSACTION_MS : MAX_WITHOUT_TURN_MS)
  }

  /**
   * Whether the event loop has not had a turn for this long. Must be called regularly, because the first call in a turn starts the clock.
   */
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

/** All code on this thread's event loop shares this object. */
export const loopTurn = new LoopTurn()

/** After how many items the clock is read. */
const SLICE = 50

/**
 * Maps many items in slices, with turns of the event loop in between. A few items are mapped in the current turn and returned without a
 * promise, which would cost more than they do.
 */
export function mapInTurns<T, U>(items: readonly T[], fn: (item: T, index: number) => U): U[] | Promise<U[]> {
  return items.length > SLICE || loopTurn.isDue(false) ? mapInSlices(items, fn) : items.map(fn)
}

async function mapInSlices<T, U>(items: readonly T[], fn: (item: T, index: number) => U): Promise<U[]> {
  const mapped: U[] = []
  // Copied, because the caller may change the list between slices.
  const given = items.slice()
  for (let from = 0; from < given.length; from += SLICE) {
    if (loopTurn.isDue(false)) await loopTurn.next()
    const end = Math.min(from + SLICE, given.length)
    for (let index = from; index < end; index++) mapped.push(fn(given[index] as T, index))
  }
  return mapped
}
