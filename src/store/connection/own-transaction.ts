import { AsyncLocalStorage } from 'node:async_hooks'
import { PikoError } from '../../errors.ts'

/**
 * Knows who is called from inside a transaction. With one connection such a caller would wait for the connection that its
 * own transaction holds, for ever.
 */
export class OwnTransaction {
  readonly #inside = new AsyncLocalStorage<{ isOpen: boolean }>()

  /** Runs the body of a transaction. What it leaves behind, such as a timer, is outside again once it has ended. */
  async enter<T>(body: () => Promise<T>): Promise<T> {
    const transaction = { isOpen: true }
    try {
      return await this.#inside.run(transaction, body)
    } finally {
      transaction.isOpen = false
    }
  }

  /** @throws PikoError `USAGE` inside of an open transaction */
  assertOutside(what: string): void {
    if (!this.#inside.getStore()?.isOpen) return
    throw new PikoError(
      'USAGE',
      `${what} inside of a transaction would wait for its own transaction: SQLite has one connection; use the trx that the function is given`,
    )
  }
}
