import { describe, PikoError } from '../../errors.ts'
import { retryContention } from '../../sql/contention.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor, SqlValue } from '../../sql/sql.ts'
import { onConflict, quoted, quotedTable } from '../../sql/sql-text.ts'
import type { Window } from '../../time/window.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import { insertRows } from './insert-rows.ts'
import { rowValues } from './row-values.ts'
import { existingColumns, tableProblem } from './table-check.ts'
import { addColumns, createTable } from './table-ddl.ts'
import { type SqlTableOptions, type TableShape, tableShape } from './table-options.ts'

export interface SqlTableTarget {
  /** Where the table is. Default: the database that Piko itself runs on. */
  readonly on?: SqlDatabase
}

export interface SqlTableMerge extends SqlTableTarget {
  /** The number that all writers of this generation of the window share, such as the fence of the run that began it. Default: the fence. */
  readonly generation?: number
}

/** A window whose rows of older generations are to be deleted. */
export interface SqlTableGeneration {
  readonly window: Window
  /** Rows with a smaller fence are deleted. */
  readonly before: number
  /** Where the table is, unless the target says so. */
  readonly sql?: SqlDatabase
}

export interface SqlTableOpen extends SqlTableTarget {
  /** Creates the table if it is missing. Default `false`. */
  readonly create?: boolean
}

export interface SqlTableDdl {
  /** Default `'mysql'`, which includes MariaDB. */
  readonly dialect?: SqlExecutor['dialect']
  /** The columns that the table has already, or its earlier definition. The statements then add the columns that are missing. */
  readonly from?: readonly string[] | { readonly layout: SqlTableLayout }
}

/** What a table's rows consist of. */
export interface SqlTableLayout {
  readonly name: string
  /** The columns that hold the row's properties. */
  readonly columns: readonly string[]
  /** The columns that identify a row within its window, or within a table without windows. Empty if unknown. */
  readonly key: readonly string[]
  readonly windowColumn: string | null
  readonly fenceColumn: string | undefined
}

/**
 * A table that a sink writes to, with SQL for MySQL and SQLite. Every call is one transaction, repeated after a deadlock. The table belongs
 * to one job and one model: {@link replace} and {@link clear} delete all rows of a window.
 *
 * With `fenceColumn`, an older run neither deletes rows of a newer run of the window nor adds its own: it fails with `SINK_FAILED`. The
 * table needs an index that begins with the window column and the fence column; {@link ddl} has it.
 *
 * Values: `undefined` is stored as NULL, plain objects and arrays as JSON text; other objects are rejected.
 *
 * Every write throws `SINK_TABLE_INVALID`, with the statements that solve it, if the table or a column is missing.
 */
export class SqlTable<Row extends object> {
  /** A description of the table for tools that read it. */
  readonly layout: SqlTableLayout
  readonly #shape: TableShape
  readonly #properties: readonly string[]

  /** @throws PikoError `SINK_FAILED` naming every unknown or unusable option */
  constructor(given: SqlTableOptions<Row>) {
    this.#shape = tableShape(given)
    const { name, columns, key, windowColumn, fenceColumn } = this.#shape
    this.#properties = columns.map(({ property }) => property)
    const names = columns.map(({ column }) => column)
    this.layout = Object.freeze({ name, columns: Object.freeze(names), key, windowColumn, fenceColumn })
  }

  /**
   * The statements that create the table, with the index that {@link replace} and {@link merge} need. With `from`, those that add the
   * missing columns to a table. Execute each one by itself.
   *
   * @throws PikoError `SINK_FAILED` if the type of a column is unknown, or a missing column can't be added later
   */
  ddl({ dialect = 'mysql', from }: SqlTableDdl = {}): readonly string[] {
    if (from === undefined) return createTable(dialect, this.#shape)
    return addColumns(dialect, this.#shape, 'layout' in from ? written(from.layout) : from)
  }

  /**
   * Checks that the table has all columns. Call it in the sink's `open`, so that a wrong table fails the first run before its work.
   *
   * @throws PikoError `SINK_TABLE_INVALID` naming what is missing, with the statements that solve it
   */
  async open(env: { readonly sql: SqlDatabase }, { on = env.sql, create = false }: SqlTableOpen = {}): Promise<void> {
    const existing = await existingColumns(on, this.#shape.name)
    if (create && existing.length === 0) {
      for (const statement of this.ddl({ dialect: on.dialect })) await on.exec(statement)
      return
    }
    const problem = tableProblem(on.dialect, this.#shape, existing)
    if (problem) throw problem
  }

  /**
   * Replaces the content of the window with the batches of an attempt: the first batch deletes what earlier runs left.
   *
   * @throws PikoError `JOB_INVALID` for a run without a window: `insert` or `upsert` instead
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async replace(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const window = this.#windowOf(batch, 'replace')
    const values = await this.#valuesOf(batch, rows, batch.fence)
    await this.#write(on, async (trx) => {
      await this.#refuseStale(trx, batch, batch.fence)
      if (batch.index === 0) await this.#delete(trx, window, batch.fence, '<=')
      await this.#insert(trx, batch, values)
      // An older run may have inserted rows between the delete and the first insert. Two runs that reach this point see each other.
      if (batch.index === 0 && this.#shape.fenceColumn !== undefined) await this.#delete(trx, window, batch.fence, '<')
      await this.#refuseStale(trx, batch, batch.fence, 'locking')
    })
  }

  /**
   * Deletes what earlier runs left of the window. With `before`, deletes what earlier generations left, and keeps the rows of this one. Call
   * it with the run's scope, or with `{ window, before }`. Throws as {@link replace} does.
   */
  async clear(scope: SinkScope | SqlTableGeneration, { on = scope.sql }: SqlTableTarget = {}): Promise<void> {
    const window = this.#windowOf(scope, 'clear')
    const fence = 'before' in scope ? scope.before : scope.fence
    if ('before' in scope) this.#needFence('clear with before')
    if (on === undefined) throw this.#wrong('clear got no database; expected { on: database } or a scope with sql')
    await this.#write(on, async (trx) => {
      await this.#delete(trx, window, fence, 'before' in scope ? '<' : '<=')
      await this.#refuseStale(trx, scope, fence, 'locking')
    })
  }

  /**
   * Adds rows. A repeated attempt adds them again: use `replace` or `upsert` if the run may be retried.
   *
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async insert(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const values = await this.#valuesOf(batch, rows, batch.fence)
    await this.#write(on, async (trx) => {
      await this.#insert(trx, batch, values)
      await this.#refuseStale(trx, batch, batch.fence, 'locking')
    })
  }

  /** The same as {@link insert}. */
  async append(batch: SinkBatch, rows: readonly Row[], target: SqlTableTarget = {}): Promise<void> {
    await this.insert(batch, rows, target)
  }

  /**
   * Adds rows and overwrites existing ones. With `fenceColumn`, a row of a newer run stays as it is.
   *
   * @param keyColumns the columns of the primary key or of a unique index (MySQL uses any index that matches). Default: the table's `key`,
   *   with its window column
   */
  async upsert(
    batch: SinkBatch,
    rows: readonly Row[],
    keyColumns: readonly string[] = this.#upsertKey(batch),
    { on = batch.sql }: SqlTableTarget = {},
  ): Promise<void> {
    const columns = this.#written(batch)
    this.#assertKey('upsert', keyColumns, columns)
    const values = await this.#valuesOf(batch, rows, batch.fence)
    await this.#write(on, (trx) =>
      this.#insert(trx, batch, values, onConflict(trx.dialect, columns, keyColumns, this.#shape.fenceColumn)),
    )
  }

  /**
   * Adds rows of a window that many writers share, and overwrites rows with the same key of the same generation. Rows of older generations
   * stay until {@link clear} with `before`, so that readers never see a gap. A writer of an older generation is refused.
   *
   * @param keyColumns the columns that identify a row within its window. With the window and fence columns they must have a unique index.
   *   Default: the table's `key`
   * @throws PikoError `JOB_INVALID` for a run without a window
   * @throws PikoError `SINK_FAILED` if the table has no fence column, or a newer generation has written the window
   */
  async merge(
    batch: SinkBatch,
    rows: readonly Row[],
    keyColumns: readonly string[] = this.#shape.key,
    { on = batch.sql, generation = batch.fence }: SqlTableMerge = {},
  ): Promise<void> {
    const { column } = this.#windowOf(batch, 'merge')
    const fenceColumn = this.#needFence('merge')
    const columns = this.#written(batch)
    this.#assertKey('merge', keyColumns, columns)
    const keys = [...new Set([column, fenceColumn, ...keyColumns])]
    const values = await this.#valuesOf(batch, rows, generation)
    await this.#write(on, async (trx) => {
      await this.#insert(trx, batch, values, onConflict(trx.dialect, columns, keys, undefined))
      await this.#refuseStale(trx, batch, generation, 'locking')
    })
  }

  async #insert(trx: SqlExecutor, batch: SinkBatch, values: readonly SqlValue[], clause = ''): Promise<void> {
    const { name: table, chunkSize } = this.#shape
    await insertRows(trx, { table, columns: this.#written(batch), values }, chunkSize, clause)
  }

  /** Runs the transaction again after a deadlock or a lock timeout. */
  async #write(on: SqlDatabase, fn: (trx: SqlExecutor) => Promise<void>): Promise<void> {
    try {
      await retryContention(() => on.transaction(fn))
    } catch (error) {
      if (databaseFault(error) !== 'programming') throw error
      const existing = await existingColumns(on, this.#shape.name).catch(() => {
        throw error
      })
      throw tableProblem(on.dialect, this.#shape, existing, error) ?? error
    }
  }

  async #delete(trx: SqlExecutor, window: WindowKey, fence: number, older: '<=' | '<'): Promise<void> {
    const { dialect } = trx
    const { name, fenceColumn } = this.#shape
    const where = `${quoted(dialect, window.column)} = ?`
    const fenced = fenceColumn === undefined ? '' : ` AND ${quoted(dialect, fenceColumn)} ${older} ?`
    await trx.exec(`DELETE FROM ${quotedTable(dialect, name)} WHERE ${where}${fenced}`, [
      window.start,
      ...(fenced === '' ? [] : [fence]),
    ])
  }

  /** The locking form sees uncommitted rows of another transaction, and waits for them. */
  async #refuseStale(
    trx: SqlExecutor,
    scope: { readonly window: Window | undefined; readonly runId?: number },
    own: number,
    locking?: 'locking',
  ): Promise<void> {
    const { dialect } = trx
    const { name, windowColumn, fenceColumn } = this.#shape
    if (fenceColumn === undefined || windowColumn === null || scope.window === undefined) return
    const fence = quoted(dialect, fenceColumn)
    const newer = await trx.query<{ fence: unknown }>(
      `SELECT ${fence} AS fence FROM ${quotedTable(dialect, name)} WHERE ${quoted(dialect, windowColumn)} = ?` +
        ` AND ${fence} > ? LIMIT 1${locking && dialect === 'mysql' ? ' FOR UPDATE' : ''}`,
      [scope.window.start, own],
    )
    const [row] = newer
    if (!row) return
    const who = scope.runId === undefined ? 'the writer' : `run ${scope.runId}`
    throw new PikoError(
      'SINK_FAILED',
      `table ${name}: ${who} with fence ${own} is stale, for the window of ` +
        `${scope.window.start.toISOString()} holds rows of fence ${String(row.fence)}; nothing was written`,
      { details: { table: name, fence: own, newerFence: String(row.fence) } },
    )
  }

  /** The columns of an INSERT, in the order of {@link #valuesOf}. */
  #written({ window }: SinkScope): string[] {
    const { windowColumn, fenceColumn } = this.#shape
    return [
      ...this.layout.columns,
      ...(window !== undefined && windowColumn !== null ? [windowColumn] : []),
      ...(fenceColumn === undefined ? [] : [fenceColumn]),
    ]
  }

  #valuesOf({ window }: SinkScope, rows: readonly Row[], fence: number): Promise<SqlValue[]> {
    const { name, windowColumn, fenceColumn } = this.#shape
    return rowValues(name, this.#properties, rows, [
      ...(window !== undefined && windowColumn !== null ? [window.start] : []),
      ...(fenceColumn === undefined ? [] : [fence]),
    ])
  }

  #assertKey(what: string, keyColumns: readonly string[], columns: readonly string[]): void {
    const unknown = keyColumns.find((column) => !columns.includes(column))
    if (unknown === undefined && keyColumns.length > 0) return
    throw this.#wrong(`${what} got the key columns ${describe(keyColumns)}; expected some of ${columns.join(', ')}`)
  }

  /** A key with a fence would keep the rows of older runs beside the new ones, and a key without it is not unique in a table of windows. */
  #upsertKey({ window }: SinkScope): readonly string[] {
    const { key, windowColumn, fenceColumn } = this.#shape
    if (windowColumn === null || window === undefined) return key
    if (fenceColumn === undefined) return [windowColumn, ...key]
    throw this.#wrong(
      'upsert got no key columns, and the table has a window and a fence column; use merge, set windowColumn: null, or name the columns of a unique index',
    )
  }

  #needFence(what: string): string {
    const { fenceColumn } = this.#shape
    if (fenceColumn !== undefined) return fenceColumn
    throw this.#wrong(`${what} needs a fenceColumn, but the table has none; give it one, such as fenceColumn: 'fence'`)
  }

  #windowOf(scope: { readonly window: Window | undefined; readonly jobId?: string }, what: string): WindowKey {
    const { name, windowColumn } = this.#shape
    if (windowColumn === null) throw this.#wrong(`${what} needs a windowColumn, but it is null; use insert or upsert`)
    if (scope.window !== undefined) return { column: windowColumn, start: scope.window.start }
    const run = scope.jobId === undefined ? 'the call' : `the run of job "${scope.jobId}"`
    throw new PikoError(
      'JOB_INVALID',
      `table ${name}: ${what} needs a window, but ${run} has none; give the job windows, or use insert or upsert`,
      { details: { jobId: scope.jobId, table: name } },
    )
  }

  #wrong(problem: string): PikoError {
    const { name } = this.#shape
    return new PikoError('SINK_FAILED', `table ${name}: ${problem}`, { details: { table: name } })
  }
}

interface WindowKey {
  readonly column: string
  readonly start: Date
}

function written({ columns, windowColumn, fenceColumn }: SqlTableLayout): string[] {
  return [windowColumn, fenceColumn, ...columns].filter((column) => typeof column === 'string')
}

/**
 * @throws PikoError as {@link SqlTable} does
 * @example
 * const orders = sqlTable<Order>({ name: 'orders', columns: ['id', 'total'], fenceColumn: 'fence' })
 * const typed = sqlTable({ name: 'orders', model: Order, key: ['id'], fenceColumn: 'fence' }) // a zod schema: ddl() knows the types
 */
export function sqlTable<Row extends object>(options: SqlTableOptions<Row>): SqlTable<Row> {
  return new SqlTable(options)
}
