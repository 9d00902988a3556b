import { isObject, propertyOf } from '../../errors-read.ts'
import { describe, PikoError } from '../../errors.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { anything, aText, expecting, type OptionChecks, problemsText, readOptions } from '../../options.ts'
import { retryContention } from '../../sql/contention.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import type { SqlDatabase, SqlExecutor, SqlValue } from '../../sql/sql.ts'
import { batchesOf, MAX_BATCH_BYTES, sentBytes } from '../../sql/statement-size.ts'
import { onConflict, quoted, quotedTable, toSqlValue } from '../../sql/sql-text.ts'

export interface SqlTableOptions<Row extends object> {
  /** `orders`, or with a schema: `sales.orders`. */
  readonly name: string
  /** The row's properties to store: a list if the columns have the same names, otherwise `{ property: 'column' }`. */
  readonly columns: readonly (keyof Row & string)[] | Readonly<Partial<Record<keyof Row & string, string>>>
  /** The column for the start of the run's window. `null`: the table has none. Default `'window_start'`. */
  readonly windowColumn?: string | null
  /** The column (NOT NULL, 64 bits) for the run's fence; it prevents writes of an overtaken run. Default: none. */
  readonly fenceColumn?: string
  /** Rows per INSERT statement; fewer if they exceed 1 MB or the database's number of parameters. Default and maximum: 1,000. */
  readonly chunkSize?: number
}

export interface SqlTableTarget {
  /** Where the table is. Default: the database that Piko itself runs on. */
  readonly on?: SqlDatabase
}

const MAX_ROWS = 1_000
/** SQLite accepts 32,766 parameters per statement, MySQL 65,535. */
const MAX_PARAMETERS = 30_000

/**
 * A table that a sink writes to, with SQL for MySQL and SQLite. Every call is one transaction, repeated after a deadlock. The table belongs
 * to one job and one model: {@link replace} and {@link clear} delete all rows of a window.
 *
 * With `fenceColumn`, an older run neither deletes rows of a newer run of the window nor adds its own: it fails with `SINK_FAILED`. Create
 * an index that begins with the window column and the fence column.
 *
 * Values: `undefined` is stored as NULL, plain objects and arrays as JSON text; other objects are rejected.
 */
export class SqlTable<Row extends object> {
  readonly #name: string
  readonly #properties: readonly string[]
  readonly #columns: readonly string[]
  readonly #windowColumn: string | null
  readonly #fenceColumn: string | undefined
  readonly #chunkSize: number

  /** @throws PikoError `SINK_FAILED` for an unknown option, a name that is not an identifier, a duplicate column or a wrong chunk size */
  constructor(given: SqlTableOptions<Row>) {
    const { name, columns, windowColumn = 'window_start', fenceColumn, chunkSize = MAX_ROWS } = checked(given)
    const pairs: [string, unknown][] = isList(columns)
      ? columns.map((column) => [column, column])
      : Object.entries(columns)
    this.#name = name
    this.#properties = pairs.map(([property]) => property)
    this.#columns = pairs.map(([, column]) => column as string)
    this.#windowColumn = windowColumn
    this.#fenceColumn = fenceColumn
    this.#chunkSize = chunkSize
    const filled = [windowColumn, fenceColumn].filter((column) => typeof column === 'string')
    quotedTable('mysql', name)
    for (const column of [...this.#columns, ...filled]) quoted('mysql', column, `column of table ${name}`)
    if (pairs.length === 0) throw this.#wrong('it has no columns')
    const twice = [...this.#columns, ...filled].find((column, index, all) => all.indexOf(column) !== index)
    if (twice !== undefined) {
      throw this.#wrong(
        `column ${twice} is listed twice; the window and fence columns are filled from the run and not listed in columns`,
      )
    }
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1 || chunkSize > MAX_ROWS) {
      throw this.#wrong(`its chunkSize is ${describe(chunkSize)}; expected a whole number from 1 to ${MAX_ROWS}`)
    }
  }

  /**
   * Replaces the content of the window with the batches of an attempt: the first batch deletes what earlier runs left.
   *
   * @throws PikoError `JOB_INVALID` for a run without a window: `insert` or `upsert` instead
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async replace(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const window = this.#windowOf(batch, 'replace')
    const values = await this.#valuesOf(batch, rows)
    await repeated(on, async (trx) => {
      await this.#refuseStale(trx, batch)
      if (batch.index === 0) await this.#delete(trx, window, batch, '<=')
      await this.#insert(trx, batch, values)
      // An older run may have inserted rows between the delete and the first insert. Two runs that reach this point see each other.
      if (batch.index === 0 && this.#fenceColumn !== undefined) await this.#delete(trx, window, batch, '<')
      await this.#refuseStale(trx, batch, 'locking')
    })
  }

  /** Deletes what earlier runs left of the window. Throws as {@link replace} does. */
  async clear(scope: SinkScope, { on = scope.sql }: SqlTableTarget = {}): Promise<void> {
    const window = this.#windowOf(scope, 'clear')
    await repeated(on, async (trx) => {
      await this.#delete(trx, window, scope, '<=')
      await this.#refuseStale(trx, scope, 'locking')
    })
  }

  /**
   * Adds rows. A repeated attempt adds them again: use `replace` or `upsert` if the run may be retried.
   *
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async insert(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const values = await this.#valuesOf(batch, rows)
    await repeated(on, async (trx) => {
      await this.#insert(trx, batch, values)
      await this.#refuseStale(trx, batch, 'locking')
    })
  }

  /**
   * Adds rows and overwrites existing ones. With `fenceColumn`, a row of a newer run stays as it is.
   *
   * @param keyColumns the columns of the primary key or of a unique index (MySQL uses any index that matches)
   */
  async upsert(
    batch: SinkBatch,
    rows: readonly Row[],
    keyColumns: readonly string[],
    { on = batch.sql }: SqlTableTarget = {},
  ): Promise<void> {
    const written = this.#written(batch)
    const unknown = keyColumns.find((column) => !written.includes(column))
    if (unknown !== undefined || keyColumns.length === 0) {
      throw this.#wrong(`upsert got the key columns ${describe(keyColumns)}; expected some of ${written.join(', ')}`)
    }
    const values = await this.#valuesOf(batch, rows)
    await repeated(on, (trx) =>
      this.#insert(trx, batch, values, onConflict(trx.dialect, written, keyColumns, this.#fenceColumn)),
    )
  }

  async #insert(trx: SqlExecutor, batch: SinkBatch, values: readonly SqlValue[], clause = ''): Promise<void> {
    const written = this.#written(batch)
    const width = written.length
    const columns = written.map((column) => quoted(trx.dialect, column)).join(', ')
    const row = `(${written.map(() => '?').join(', ')})`
    const begin = `INSERT INTO ${quotedTable(trx.dialect, this.#name)} (${columns}) VALUES `
    const frameBytes = Buffer.byteLength(begin + clause) + 1
    const maxBytes = (trx.maxStatementBytes ?? Infinity) - frameBytes
    const bytesAt = (index: number): number => {
      const bytes = values
        .slice(index * width, (index + 1) * width)
        .reduce<number>((sum, value) => sum + sentBytes(value), row.length + 2)
      if (bytes > maxBytes) throw this.#tooLarge(index, bytes, maxBytes)
      return bytes
    }
    const indices = Array.from({ length: values.length / width }, (_, index) => index)
    const limits = {
      maxRows: Math.max(1, Math.min(this.#chunkSize, Math.floor(MAX_PARAMETERS / width))),
      maxBytes: Math.min(MAX_BATCH_BYTES, maxBytes),
    }
    let from = 0
    for (const { length } of batchesOf(indices, bytesAt, limits)) {
      const part = values.slice(from * width, (from + length) * width)
      from += length
      await trx.exec(`${begin}${Array.from({ length }, () => row).join(', ')}${clause}`, part)
    }
  }

  async #delete(trx: SqlExecutor, window: WindowKey, { fence }: SinkScope, older: '<=' | '<'): Promise<void> {
    const { dialect } = trx
    const where = `${quoted(dialect, window.column)} = ?`
    const fenced = this.#fenceColumn === undefined ? '' : ` AND ${quoted(dialect, this.#fenceColumn)} ${older} ?`
    await trx.exec(`DELETE FROM ${quotedTable(dialect, this.#name)} WHERE ${where}${fenced}`, [
      window.start,
      ...(fenced === '' ? [] : [fence]),
    ])
  }

  /** The locking form sees uncommitted rows of another transaction, and waits for them. */
  async #refuseStale(trx: SqlExecutor, scope: SinkScope, locking?: 'locking'): Promise<void> {
    const { dialect } = trx
    if (this.#fenceColumn === undefined || this.#windowColumn === null || scope.window === undefined) return
    const fence = quoted(dialect, this.#fenceColumn)
    const newer = await trx.query<{ fence: unknown }>(
      `SELECT ${fence} AS fence FROM ${quotedTable(dialect, this.#name)} WHERE ${quoted(dialect, this.#windowColumn)} = ?` +
        ` AND ${fence} > ? LIMIT 1${locking && dialect === 'mysql' ? ' FOR UPDATE' : ''}`,
      [scope.window.start, scope.fence],
    )
    const [row] = newer
    if (!row) return
    throw new PikoError(
      'SINK_FAILED',
      `table ${this.#name}: run ${scope.runId} with fence ${scope.fence} is stale, for the window of ` +
        `${scope.window.start.toISOString()} holds rows of fence ${String(row.fence)}; nothing was written`,
      { details: { table: this.#name, fence: scope.fence, newerFence: String(row.fence) } },
    )
  }

  /** The columns of an INSERT, in the order of {@link #valuesOf}. */
  #written({ window }: SinkScope): string[] {
    return [
      ...this.#columns,
      ...(window !== undefined && this.#windowColumn !== null ? [this.#windowColumn] : []),
      ...(this.#fenceColumn === undefined ? [] : [this.#fenceColumn]),
    ]
  }

  async #valuesOf({ window, fence }: SinkScope, rows: readonly Row[]): Promise<SqlValue[]> {
    const filled = [
      ...(window !== undefined && this.#windowColumn !== null ? [window.start] : []),
      ...(this.#fenceColumn === undefined ? [] : [fence]),
    ]
    const values: SqlValue[] = []
    await mapInTurns(rows, (row, index) => {
      for (const property of this.#properties) {
        values.push(
          toSqlValue(
            (row as Record<string, unknown>)[property],
            () => `${property} of row ${index} for table ${this.#name}`,
          ),
        )
      }
      for (const value of filled) values.push(value)
    })
    return values
  }

  #windowOf({ window, jobId }: SinkScope, what: string): WindowKey {
    if (this.#windowColumn === null)
      throw this.#wrong(`${what} needs a windowColumn, but it is null; use insert or upsert`)
    if (window !== undefined) return { column: this.#windowColumn, start: window.start }
    throw new PikoError(
      'JOB_INVALID',
      `table ${this.#name}: ${what} needs a window, but the run of job "${jobId}" has none; give the job windows, or use insert or upsert`,
      { details: { jobId, table: this.#name } },
    )
  }

  #tooLarge(index: number, bytes: number, maxBytes: number): PikoError {
    return new PikoError(
      'SINK_ROW_INVALID',
      `row ${index} for table ${this.#name} is ${bytes} bytes in a statement; the database takes at most ${maxBytes} ` +
        '(max_allowed_packet on MySQL): store large values elsewhere, or raise that limit',
      { details: { table: this.#name, index, bytes, mostBytes: maxBytes } },
    )
  }

  #wrong(problem: string): PikoError {
    return new PikoError('SINK_FAILED', `table ${this.#name}: ${problem}`, { details: { table: this.#name } })
  }
}

interface WindowKey {
  readonly column: string
  readonly start: Date
}

/**
 * @throws PikoError as {@link SqlTable} does
 * @example
 * const orders = sqlTable<Order>({ name: 'orders', columns: ['id', 'total'], fenceColumn: 'fence' })
 */
export function sqlTable<Row extends object>(options: SqlTableOptions<Row>): SqlTable<Row> {
  return new SqlTable(options)
}

const CHECKS: OptionChecks<SqlTableOptions<Record<string, unknown>>> = {
  name: aText,
  columns: expecting("a list of columns, or { property: 'column' }", isObject),
  windowColumn: expecting('the name of a column, or null', (value) => value === null || typeof value === 'string'),
  fenceColumn: aText,
  chunkSize: anything,
}

function checked<Row extends object>(given: SqlTableOptions<Row>): SqlTableOptions<Row> {
  const example = "{ name: 'orders', columns: ['id', 'total'] }"
  const { options, problems } = readOptions<SqlTableOptions<Row>>(given, CHECKS, example, ['name', 'columns'])
  if (problems.length === 0) return options as SqlTableOptions<Row>
  const name = propertyOf(given, 'name')
  throw new PikoError(
    'SINK_FAILED',
    problemsText(`table ${typeof name === 'string' ? name : describe(name)}`, problems),
    {
      details: { problems },
    },
  )
}

/** Runs a transaction again after a deadlock or a lock timeout. */
function repeated(on: SqlDatabase, fn: (trx: SqlExecutor) => Promise<void>): Promise<void> {
  return retryContention(() => on.transaction(fn))
}

function isList(columns: object): columns is readonly string[] {
  return Array.isArray(columns)
}
