import { PikoError, toError } from '../../errors.ts'
import { hasCode } from '../../sql/contention.ts'
import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import type { TableRows } from './insert-rows.ts'
import { LoadData } from './load-data.ts'
import { existingColumns } from './table-check.ts'
import type { BulkMode } from './table-options.ts'

/** The minimum number of rows for `LOAD DATA`. For fewer rows, INSERTs are as fast. */
const MIN_LOAD_ROWS = 100

const WRONG_TYPE = 'a value has another type than its column'

/** The types of a table's columns, by their lower-case names. */
type ColumnTypes = ReadonlyMap<string, string>

/** Thrown if `LOAD DATA` would not store exactly what INSERTs store. The transaction must be rolled back. */
class LoadUnfit extends PikoError {}

/** Sends rows with `LOAD DATA LOCAL INFILE`, if the server allows it and the result is the same as with INSERTs. */
export class BulkLoader {
  readonly #table: string
  readonly #mode: BulkMode
  readonly #types = new WeakMap<SqlDatabase, Promise<ColumnTypes | undefined>>()

  constructor(table: string, mode: BulkMode) {
    this.#table = table
    this.#mode = mode
  }

  /**
   * Returns the rows as a file to load; undefined if they should be inserted instead.
   *
   * @throws PikoError `SINK_FAILED` if `bulk` is `load`, but the server refuses it or a value can't be written to the file
   */
  async prepare(on: SqlDatabase, rows: TableRows): Promise<LoadData | undefined> {
    if (this.#mode === 'insert' || rows.rows.length === 0) return undefined
    const isAuto = this.#mode === 'auto'
    if (on.dialect !== 'mysql') return isAuto ? undefined : this.#refuse('the database is not MySQL')
    if (isAuto && rows.rows.length < MIN_LOAD_ROWS) return undefined
    const types = await this.#known(on)
    if (!types) return isAuto ? undefined : this.#refuse('the server does not allow it (local_infile is off)')
    const data = LoadData.of(rows, types)
    return data ?? (isAuto ? undefined : this.#refuse(WRONG_TYPE))
  }

  /**
   * Called when a load has failed. The columns of the table may have changed, so the next write reads them again. If the server does not
   * allow loading, later writes use INSERTs.
   */
  failed(on: SqlDatabase, error: unknown): void {
    if (isNotAllowed(error)) this.#types.set(on, Promise.resolve(undefined))
    else this.#types.delete(on)
  }

  /**
   * Sends the file.
   *
   * @returns false if this database can't send a file and `bulk` is `auto`; then nothing was sent
   * @throws LoadUnfit if a value can't be written to the file, or the server changed or dropped a row
   * @throws PikoError `SINK_ROW_INVALID` for a value that can't be stored
   */
  async load(trx: SqlExecutor, data: LoadData): Promise<boolean> {
    if (!trx.load) {
      return this.#mode === 'auto'
        ? false
        : this.#refuse("this database can't send a file; give its SqlDatabase a load()")
    }
    const { rows } = data
    const { changes, warnings } = await trx.load(data.sql, data.chunks())
    const { failure } = data
    if (failure) throw failure.error === undefined ? this.#unfit(WRONG_TYPE) : toError(failure.error)
    const first = warnings > 0 ? await firstWarning(trx) : undefined
    if (!first && changes === rows) return true
    // For `LOAD DATA`, the server only gives a warning where it would refuse an INSERT.
    const message = first?.Message ?? `${changes} of ${rows} rows were stored`
    const cause = Object.assign(new Error(message), { errno: Number(first?.Code ?? 1265), sqlState: 'HY000' })
    throw this.#unfit(message, cause)
  }

  /** Whether the rows should be sent again as INSERTs after this error of {@link load}. INSERTs report exactly what is wrong. */
  fallsBack(error: unknown): boolean {
    return this.#mode === 'auto' && (error instanceof LoadUnfit || isNotAllowed(error))
  }

  #known(on: SqlDatabase): Promise<ColumnTypes | undefined> {
    const known = this.#types.get(on)
    if (known) return known
    const read = this.#read(on)
    this.#types.set(on, read)
    read.catch(() => this.#types.delete(on))
    return read
  }

  async #read(on: SqlDatabase): Promise<ColumnTypes | undefined> {
    const [server] = await on.query<{ allowed: unknown }>('SELECT @@local_infile AS allowed')
    if (Number(server?.allowed) !== 1) return undefined
    return new Map((await existingColumns(on, this.#table)).map(({ name, type }) => [name.toLowerCase(), type]))
  }

  #unfit(problem: string, cause?: unknown): LoadUnfit {
    return new LoadUnfit(
      'SINK_FAILED',
      `table ${this.#table}: LOAD DATA would not store the rows as they are: ${problem}`,
      { ...(cause !== undefined && { cause }), details: { table: this.#table } },
    )
  }

  #refuse(problem: string): never {
    throw new PikoError(
      'SINK_FAILED',
      `table ${this.#table}: bulk is "load", but ${problem}; correct this, or use bulk: 'auto'`,
      { details: { table: this.#table } },
    )
  }
}

interface Warning {
  readonly Level: string
  readonly Code: number
  readonly Message: string
}

/** Returns the first warning. Notes are ignored, because INSERTs also ignore them. */
async function firstWarning(trx: SqlExecutor): Promise<Warning | undefined> {
  const shown = await trx.query<{ Level: string; Code: number; Message: string }>('SHOW WARNINGS')
  return shown.find(({ Level }) => Level !== 'Note')
}

/** ER_NOT_ALLOWED_COMMAND, and the errors of MySQL 8 and MariaDB if `local_infile` is off on the client or the server. */
const NOT_ALLOWED = [1148, 3948, 3950, 4166]

function isNotAllowed(error: unknown): boolean {
  return hasCode(error, 'errno', (code) => NOT_ALLOWED.includes(code))
}
