import { AsyncLocalStorage } from 'node:async_hooks'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlDatabase } from '../../sql/sql.ts'
import type { TableRows } from './insert-rows.ts'

/** The maximum number of rows that are written together, so that no transaction takes a long time. A single batch may have more. */
const MAX_ROWS = 1_000

type Send = (rows: TableRows) => Promise<void>

interface Waiting {
  readonly rows: TableRows
  readonly send: Send
  readonly signal: AbortSignal
  /** Calls a function in the context of the caller: its logger, signal and transaction. */
  readonly within: (fn: () => Promise<void>) => Promise<void>
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * Joins batches that differ only in their rows, and writes them in one transaction after the current one. Many items of a run may end at
 * the same time, each with a few rows. With one transaction each, they would wait for the same fence, and the transactions would cost more
 * than the rows.
 */
export class SharedWrites {
  readonly #lines = new WeakMap<SqlDatabase, Map<string, Waiting[]>>()

  /**
   * Resolves when the rows are stored. If the batches can't be stored together, they are written again one by one, so that only the faulty
   * batch fails.
   *
   * @param kind must be equal for batches that may share a statement
   * @param send writes the rows, including those of other batches. May be called again with the same rows
   * @param signal if it aborts, rows that are still waiting are not written
   */
  write(on: SqlDatabase, kind: string, rows: TableRows, send: Send, signal: AbortSignal): Promise<void> {
    let lines = this.#lines.get(on)
    if (!lines) this.#lines.set(on, (lines = new Map<string, Waiting[]>()))
    const within = AsyncLocalStorage.snapshot()
    return new Promise((resolve, reject) => {
      const waiting = { rows, send, signal, within, resolve, reject }
      const line = lines.get(kind)
      if (line) {
        line.push(waiting)
        return
      }
      const begun = [waiting]
      lines.set(kind, begun)
      // Items that end in the same turn of the event loop are written together.
      setImmediate(() => void work(begun, () => lines.delete(kind)))
    })
  }
}

/**
 * Writes the batches of a queue until the queue is empty.
 *
 * @param ended called in the same turn in which the queue becomes empty, so that no batch is added to it afterwards
 */
async function work(line: Waiting[], ended: () => void): Promise<void> {
  while (line.length > 0) await writeTogether(line.splice(0, lengthOfGroup(line)))
  ended()
}

function lengthOfGroup(line: readonly Waiting[]): number {
  let count = 0
  let rows = 0
  for (const waiting of line) {
    rows += waiting.rows.rows.length
    if (count > 0 && rows > MAX_ROWS) break
    count++
  }
  return count
}

async function writeTogether(given: readonly Waiting[]): Promise<void> {
  const group = given.filter(({ signal }) => !signal.aborted)
  for (const { signal, reject } of given) if (signal.aborted) reject(signal.reason)
  const [first] = group
  if (!first) return
  const rows = group.length === 1 ? first.rows : { ...first.rows, rows: group.flatMap((waiting) => waiting.rows.rows) }
  try {
    await first.within(() => first.send(rows))
    for (const { resolve } of group) resolve()
  } catch (error) {
    // In an outage, each batch would fail for the same reason, so they are not tried separately.
    if (group.length === 1 || databaseFault(error) === 'outage') for (const { reject } of group) reject(error)
    else for (const waiting of group) await writeTogether([waiting])
  }
}
