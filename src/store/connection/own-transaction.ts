import { AsyncLocalStorage } from 'node:async_hooks'
import { PikoError } from '../../errors.ts'

/**
 * Recognizes calls from inside a transaction. With a single connection such a call would wait forever for the connection that its own
 * transaction holds.
 */
export class OwnTransaction {
  readonly #inside = new AsyncLocalStorage<{ isOpen: boolean }>()

  /** Runs the body of a transaction. Callbacks that it leaves behind, such as timers, are outside once the body has ended. */
  async enter<T>(body: () => Promise<T>): Promise<T> {
    const transaction = { isOpen: true }
    try {
      return await this.#inside.run(transaction, body)
    } finally {
      transaction.isOpen = false
    }
  }

  /** @throws PikoError `USAGE` inside an open transaction */
  assertOutside(what: string): void {
    if (!this.#inside.getStore()?.isOpen) return
    throw new PikoError(
      'USAGE',
      `${what} inside a transaction would wait for its own transaction, since SQLite has one connection; use the trx passed to the function`,
    )
  }
}
