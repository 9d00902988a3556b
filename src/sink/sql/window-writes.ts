import type { SqlExecutor } from '../../sql/sql.ts'
import { quoted, quotedTable } from '../../sql/sql-text.ts'
import { Delivered } from './delivered.ts'
import type { TableShape } from './table-options.ts'
import { type FenceState, isDelivered, WindowFence, type WindowWriter } from './window-fence.ts'

type Add = () => Promise<void>
type Shape = Pick<TableShape, 'name' | 'windowColumn' | 'fenceColumn'>

/** A batch of rows of a window. */
export interface WindowBatch extends WindowWriter {
  /** The number of the batch: 0 until rows have been delivered in this attempt, and at least 1 afterwards. */
  readonly index: number
  readonly rows: number
}

/**
 * Writes a window's rows, each time in a transaction of the caller. The window's row in `piko_fence` decides which claim may write. The
 * fences in the rows themselves are also checked, because older versions of Piko write only those.
 */
export class WindowWrites {
  readonly #shape: Shape
  readonly #fence: WindowFence

  constructor(shape: Shape) {
    this.#shape = shape
    this.#fence = new WindowFence(shape.name)
  }

  /**
   * Replaces the rows of earlier claims: the first batch that a claim stores deletes them. This batch may have any index, because the
   * batches before it may have been refused.
   *
   * @returns how many rows the claim has in the table now; undefined: unknown
   * @throws RepeatedBatch
   */
  async replace(trx: SqlExecutor, batch: WindowBatch, add: Add): Promise<number | undefined> {
    const known = await this.#fence.look(trx, batch)
    if (isDelivered(known, batch)) return known.rows
    // If the first batch has no name, a repeated delivery can't be recognised. So it also replaces the rows of this claim.
    const isAgain = batch.index === 0 && batch.batch === undefined
    if (known.fence === batch.fence && !isAgain) return this.#add(trx, batch, add)
    const before = await this.#fence.own(trx, batch)
    if (isDelivered(before, batch)) return before.rows
    await this.#refuseStale(trx, batch)
    const isCounted = await this.#takeOver(trx, batch, before)
    await add()
    // Between the DELETE and the first INSERT, a process with an older version of Piko may have inserted rows.
    if (this.#shape.fenceColumn !== undefined) await this.#delete(trx, batch, '<')
    await this.#refuseStale(trx, batch, 'locking')
    return this.#store(trx, batch, isCounted)
  }

  /** Adds rows to those of earlier claims. Returns and throws as {@link replace} does. */
  async append(trx: SqlExecutor, batch: WindowBatch, add: Add): Promise<number | undefined> {
    const known = await this.#fence.look(trx, batch)
    if (isDelivered(known, batch)) return known.rows
    if (known.fence === batch.fence) return this.#add(trx, batch, add)
    const before = await this.#fence.own(trx, batch)
    if (isDelivered(before, batch)) return before.rows
    await add()
    await this.#refuseStale(trx, batch, 'locking')
    return this.#store(trx, batch, batch.index === 0 || before.fence > 0)
  }

  /** Adds rows of a generation that many writers share. The writers do not wait for each other. */
  async merge(trx: SqlExecutor, writer: WindowWriter, add: Add): Promise<void> {
    const known = await this.#fence.look(trx, writer)
    await add()
    await this.#refuseStale(trx, writer, 'locking')
    if (known.fence === writer.fence) await this.#fence.share(trx, writer)
    else await this.#raise(trx, writer)
  }

  /** Deletes the rows of this claim and of earlier ones. */
  async clear(trx: SqlExecutor, writer: WindowWriter): Promise<void> {
    const { fence, delivered } = await this.#fence.own(trx, writer)
    await this.#delete(trx, writer, '<=')
    await this.#refuseStale(trx, writer, 'locking')
    await this.#fence.store(trx, writer, {
      delivered: fence === writer.fence ? delivered : Delivered.none,
      rows: 0,
    })
  }

  /** Deletes the rows of earlier generations. */
  async clearBefore(trx: SqlExecutor, writer: WindowWriter): Promise<void> {
    await this.#raise(trx, writer)
    await this.#delete(trx, writer, '<')
    await this.#refuseStale(trx, writer, 'locking')
  }

  /** Returns the window's state; undefined unless the claim has already delivered the batch. */
  async delivered(on: SqlExecutor, batch: WindowBatch): Promise<FenceState | undefined> {
    const state = await this.#fence.look(on, batch)
    return isDelivered(state, batch) ? state : undefined
  }

  /**
   * Adds rows of a claim that owns the window. The window is locked only at the end, so that several writers can insert at the same time.
   */
  async #add(trx: SqlExecutor, batch: WindowBatch, add: Add): Promise<number | undefined> {
    await add()
    await this.#refuseStale(trx, batch, 'locking')
    const { delivered, rows: before } = await this.#fence.confirm(trx, batch)
    const rows = before === undefined ? undefined : before + batch.rows
    await this.#fence.store(trx, batch, { delivered, rows })
    return rows
  }

  /** Stores the claim's first batch as its only batch so far. */
  async #store(trx: SqlExecutor, batch: WindowBatch, isCounted: boolean): Promise<number | undefined> {
    const rows = isCounted ? batch.rows : undefined
    await this.#fence.store(trx, batch, { delivered: Delivered.none, rows })
    return rows
  }

  /**
   * Deletes the rows of earlier claims.
   *
   * @returns whether the table now certainly contains no rows of this claim
   */
  async #takeOver(trx: SqlExecutor, batch: WindowBatch, { fence }: FenceState): Promise<boolean> {
    if (batch.index === 0) {
      await this.#delete(trx, batch, '<=')
      return true
    }
    if (this.#shape.fenceColumn !== undefined) await this.#delete(trx, batch, '<')
    else if (fence > 0) await this.#delete(trx, batch, '<=')
    // Without a row in piko_fence, a process with an older version of Piko may have written earlier batches.
    return fence > 0
  }

  async #raise(trx: SqlExecutor, writer: WindowWriter): Promise<void> {
    const { fence, delivered, rows } = await this.#fence.own(trx, writer)
    if (fence === writer.fence) await this.#fence.store(trx, { ...writer, batch: undefined }, { delivered, rows })
    else await this.#fence.store(trx, { ...writer, batch: undefined }, { delivered: Delivered.none, rows: undefined })
  }

  async #delete(trx: SqlExecutor, { window, fence }: WindowWriter, older: '<=' | '<'): Promise<void> {
    const { dialect } = trx
    const { name, windowColumn, fenceColumn } = this.#shape
    const where = `${quoted(dialect, windowColumn ?? '')} = ?`
    const fenced = fenceColumn === undefined ? '' : ` AND ${quoted(dialect, fenceColumn)} ${older} ?`
    await trx.exec(`DELETE FROM ${quotedTable(dialect, name)} WHERE ${where}${fenced}`, [
      window.start,
      ...(fenced === '' ? [] : [fence]),
    ])
  }

  /** Throws if the table has rows of a newer claim. With `locking`, also waits for uncommitted rows of other transactions. */
  async #refuseStale(trx: SqlExecutor, writer: WindowWriter, locking?: 'locking'): Promise<void> {
    const { dialect } = trx
    const { name, windowColumn, fenceColumn } = this.#shape
    if (fenceColumn === undefined || windowColumn === null) return
    const fence = quoted(dialect, fenceColumn)
    const [newer] = await trx.query<{ fence: unknown }>(
      `SELECT ${fence} AS fence FROM ${quotedTable(dialect, name)} WHERE ${quoted(dialect, windowColumn)} = ?` +
        ` AND ${fence} > ? LIMIT 1${locking && dialect === 'mysql' ? ' FOR UPDATE' : ''}`,
      [writer.window.start, writer.fence],
    )
    if (newer) throw this.#fence.stale(writer, String(newer.fence))
  }
}
