import { setTimeout as sleep } from 'node:timers/promises'
import { PikoError } from '../../../errors.ts'
import { hasCode } from '../../../sql/contention.ts'

const SQLITE_BUSY = 5

/**
 * How long SQLite itself waits for another process's write, in milliseconds. This wait blocks the event loop. After it, {@link LockWait}
 * waits without blocking.
 */
export const BUSY_TIMEOUT_MS = 5

/** How long a statement, or the start of a transaction, waits for another process's write. */
const MAX_LOCKED_MS = 10_000
const FIRST_PAUSE_MS = 5
const MAX_PAUSE_MS = 100

/** The queue for the connection. A caller that is waiting for a lock leaves the queue, so that others can read in the meantime. */
export interface ConnectionLine {
  leave(): void
  enter(): Promise<void>
}

/**
 * Repeats statements while another process holds the write lock of the file. Only one of the waiting statements is tried, because each try
 * blocks the event loop for a few milliseconds. The others follow when it has succeeded or failed for good.
 */
export class LockWait {
  readonly #path: string
  readonly #line: ConnectionLine
  readonly #maxMs: number
  #trying: PromiseWithResolvers<void> | undefined

  constructor(path: string, line: ConnectionLine, maxMs = MAX_LOCKED_MS) {
    this.#path = path
    this.#line = line
    this.#maxMs = maxMs
  }

  /**
   * Executes a statement outside a transaction, or begins a transaction. Returns a promise only if `execute` does, if the file is locked,
   * or if another statement waits for it, because promises cost more than a small statement.
   *
   * @throws PikoError `DATABASE_LOCKED` after 10 s
   */
  run<T>(isRead: boolean, execute: () => T | Promise<T>): T | Promise<T> {
    if (this.#trying && !isRead) return this.#wait(execute)
    const waitIfLocked = (error: unknown): Promise<T> => {
      if (!isLocked(error)) throw error
      return this.#wait(execute)
    }
    try {
      const result = execute()
      return result instanceof Promise ? result.catch(waitIfLocked) : result
    } catch (error) {
      return waitIfLocked(error)
    }
  }

  async #wait<T>(execute: () => T | Promise<T>): Promise<T> {
    const since = performance.now()
    while (this.#trying) await this.#away(this.#trying.promise)
    const trying = (this.#trying = Promise.withResolvers<void>())
    try {
      return await this.#tryOften(since, execute)
    } finally {
      this.#trying = undefined
      trying.resolve()
    }
  }

  async #tryOften<T>(since: number, execute: () => T | Promise<T>): Promise<T> {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs)) {
      try {
        return await execute()
      } catch (error) {
        if (!isLocked(error)) throw error
        const waitedMs = performance.now() - since
        if (waitedMs >= this.#maxMs) throw this.#locked(error, Math.round(waitedMs))
      }
      // The pause is random, so that waiting processes do not all try at the same time.
      await this.#away(sleep(pauseMs * (0.5 + Math.random() / 2)))
    }
  }

  async #away(until: Promise<void>): Promise<void> {
    this.#line.leave()
    try {
      await until
    } finally {
      await this.#line.enter()
    }
  }

  #locked(cause: unknown, waitedMs: number): PikoError {
    return new PikoError(
      'DATABASE_LOCKED',
      `the SQLite file ${this.#path} has been locked by another program or connection for ${waitedMs} ms; end its write ` +
        `transaction, for example in an open sqlite3 shell, a backup or one of your scripts; "fuser ${this.#path}" lists the processes that use the file`,
      { cause, details: { path: this.#path, waitedMs } },
    )
  }
}

/** Whether another connection holds a lock that the statement needs. */
function isLocked(error: unknown): boolean {
  return hasCode(error, 'errcode', (code) => (code & 0xff) === SQLITE_BUSY)
}
