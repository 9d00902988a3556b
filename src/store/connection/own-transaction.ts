import { AsyncLocalStorage } from 'node:async_hooks'
import { PikoError } from '../../errors.ts'

/**
 * Recognises calls from inside a user's transaction. If there is only one connection, such a call would wait for the connection of its own
 * transaction.
 */
export class OwnTransaction {
  readonly #inside = new AsyncLocalStorage<{ isOpen: boolean }>()
  readonly #hasOneConnection: boolean

  constructor(hasOneConnection: boolean) {
    this.#hasOneConnection = hasOneConnection
  }

  /** Whether the caller is inside the function of an open transaction. */
  get isInside(): boolean {
    return this.#inside.getStore()?.isOpen === true
  }

  /**
   * Runs the function of a transaction. When the function has ended, callbacks that it has left behind, such as timers, count as outside.
   */
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
