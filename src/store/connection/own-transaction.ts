import { AsyncLocalStorage } from 'node:async_hooks'
import { PikoError } from '../../errors.ts'

/**
 * Recognizes calls from inside a user's transaction. With a single connection such a call would wait for the connection that its own
 * transaction holds.
 */
export class OwnTransaction {
  readonly #inside = new AsyncLocalStorage<{ isOpen: boolean }>()
  readonly #hasOneConnection: boolean

  constructor(hasOneConnection: boolean) {
    this.#hasOneConnection = hasOneConnection
  }

  /** Whether the caller is the function of an open transaction. */
  get isInside(): boolean {
    return this.#inside.getStore()?.isOpen === true
  }

  /** Runs the function of a transaction. Callbacks that it leaves behind, such as timers, count as outside once the function has ended. */
  async enter<T>(body: () => Promise<T>): Promise<T> {
    const transaction = { isOpen: true }
    try {
      return await this.#inside.run(transaction, body)
    } finally {
      transaction.isOpen = false
    }
  }

  /** @throws PikoError `USAGE` inside an open transaction, on a database with one connection */
  assertOutside(what: string): void {
    if (!this.#hasOneConnection || !this.isInside) return
    throw new PikoError(
      'USAGE',
      `${what} inside a transaction would wait for its own transaction, since SQLite has one connection; use the trx passed to the function, or make the call outside of it`,
    )
  }
}
