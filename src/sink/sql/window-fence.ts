import { PikoError } from '../../errors.ts'
import type { SqlExecutor } from '../../sql/sql.ts'
import { quotedTable } from '../../sql/sql-text.ts'
import type { Window } from '../../time/window.ts'
import { Delivered } from './delivered.ts'
import { bareName, fenceTableOf } from './fence-table.ts'

/** A claim that writes to a window. */
export interface WindowWriter {
  readonly window: Window
  readonly fence: number
  readonly runId: number | undefined
  /**
   * The name of the batch that the claim writes, the same in each delivery. If it is undefined, a repeated delivery can't be recognised.
   */
  readonly batch: string | undefined
}

/** What a window's row in `piko_fence` contains. */
export interface FenceState {
  /** The fence of the claim that last wrote the window; 0 if the row is new. */
  readonly fence: number
  readonly delivered: Delivered
  /** The number of rows in the delivered batches; undefined if unknown. */
  readonly rows: number | undefined
}

/** Thrown if another transaction has delivered the batch or changed the window's row. The transaction must be rolled back and repeated. */
export class RepeatedBatch extends Error {}

const NEW: FenceState = { fence: 0, delivered: Delivered.none, rows: undefined }

/**
 * The row of a window in `piko_fence`. It stores which claim's rows the table contains, and which of that claim's batches are among them.
 * Each batch updates the row in its own transaction. So delivering a batch again changes nothing, and an older run is refused even if the
 * newer run wrote no rows.
 */
export class WindowFence {
  readonly #table: string

  /** @param table the name of the table with the rows */
  constructor(table: string) {
    this.#table = table
  }

  /**
   * Reads the current row, without waiting for other transactions.
   *
   * @throws PikoError `SINK_FAILED` if the window belongs to a newer claim
   */
  async look(trx: SqlExecutor, writer: WindowWriter): Promise<FenceState> {
    return this.#read(trx, writer, '')
  }

  /** Reads the row and locks it until this transaction ends. Creates a missing row. */
  async own(trx: SqlExecutor, writer: WindowWriter): Promise<FenceState> {
    const { dialect } = trx
    const ignore = dialect === 'mysql' ? 'ON DUPLICATE KEY UPDATE fence = fence' : 'ON CONFLICT DO NOTHING'
    await trx.exec(
      `INSERT INTO ${this.#name(trx)} (table_name, window_start, fence, batches) VALUES (?, ?, 0, '') ${ignore}`,
      [bareName(this.#table), writer.window.start],
    )
    return this.#read(trx, writer, 'FOR UPDATE')
  }

  /** Reads the row with a shared lock: until this transaction ends, others can read but not change it. */
  async share(trx: SqlExecutor, writer: WindowWriter): Promise<FenceState> {
    return this.#read(trx, writer, 'LOCK IN SHARE MODE')
  }

  /**
   * Locks the row. Checks that the claim still owns the window and that this batch has not been delivered yet.
   *
   * @throws RepeatedBatch otherwise
   */
  async confirm(trx: SqlExecutor, writer: WindowWriter): Promise<FenceState> {
    const state = await this.#read(trx, writer, 'FOR UPDATE')
    if (state.fence !== writer.fence || isDelivered(state, writer)) throw new RepeatedBatch('the window has changed')
    return state
  }

  /** Stores that the claim owns the window, with its delivered batches and its number of rows. */
  async store(
    trx: SqlExecutor,
    { window, fence, batch }: WindowWriter,
    { delivered, rows }: Omit<FenceState, 'fence'>,
  ): Promise<void> {
    const batches = String(batch === undefined ? delivered : delivered.with(batch))
    await trx.exec(
      `UPDATE ${this.#name(trx)} SET fence = ?, batches = ?, row_count = ? WHERE table_name = ? AND window_start = ?`,
      [fence, batches, rows ?? null, bareName(this.#table), window.start],
    )
  }

  /** Creates the error for a claim whose window a newer claim has written: a PikoError `SINK_FAILED`. */
  stale({ window, fence, runId }: WindowWriter, newer: string, advice = ''): PikoError {
    const who = runId === undefined ? 'the writer' : `run ${runId}`
    return new PikoError(
      'SINK_FAILED',
      `table ${this.#table}: ${who} with fence ${fence} is stale, because the window of ${window.start.toISOString()} ` +
        `belongs to fence ${newer}; nothing was written${advice}`,
      { details: { table: this.#table, fence, newerFence: newer } },
    )
  }

  async #read(trx: SqlExecutor, writer: WindowWriter, lock: string): Promise<FenceState> {
    const [row] = await trx.query<{ fence: unknown; batches: string; row_count: unknown }>(
      `SELECT fence, batches, row_count FROM ${this.#name(trx)} WHERE table_name = ? AND window_start = ?` +
        (trx.dialect === 'mysql' ? ` ${lock}` : ''),
      [bareName(this.#table), writer.window.start],
    )
    if (!row) return NEW
    const fence = Number(row.fence)
    if (fence > writer.fence) {
      const name = fenceTableOf(this.#table)
      throw this.stale(
        writer,
        String(row.fence),
        `. If Piko's own database was deleted and created again, so that its fences started again: DELETE FROM ${name} WHERE table_name = '${bareName(this.#table)}'`,
      )
    }
    const rows = row.row_count === null ? undefined : Number(row.row_count)
    return { fence, rows, delivered: Delivered.from(row.batches) }
  }

  #name({ dialect }: SqlExecutor): string {
    return quotedTable(dialect, fenceTableOf(this.#table))
  }
}

/** Whether this claim has already delivered its batch. */
export function isDelivered({ fence, delivered }: FenceState, writer: WindowWriter): boolean {
  return fence === writer.fence && writer.batch !== undefined && delivered.has(writer.batch)
}
