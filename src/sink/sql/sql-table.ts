import { describe, PikoError } from '../../errors.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import { onConflict } from '../../sql/sql-text.ts'
import type { Window } from '../../time/window.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import { noteRows } from '../written-rows.ts'
import { BulkLoader } from './bulk-loader.ts'
import { BatchNames } from './batch-names.ts'
import { insertRows, type TableRows } from './insert-rows.ts'
import { addColumns, createTable } from './table-ddl.ts'
import { TableHome } from './table-home.ts'
import type {
  SqlTableDdl,
  SqlTableGeneration,
  SqlTableLayout,
  SqlTableMerge,
  SqlTableOpen,
  SqlTableTarget,
} from './table-calls.ts'
import { SharedWrites } from './shared-writes.ts'
import { type SqlTableOptions, type TableShape, tableShape } from './table-options.ts'
import { type WindowBatch, WindowWrites } from './window-writes.ts'

/**
 * A table that a sink writes to, with SQL for MySQL and SQLite. Every call is one transaction, repeated after a deadlock. The table belongs
 * to one job and one model: {@link replace} and {@link clear} delete all rows of a window.
 *
 * With `fenceColumn`, a run fails with `SINK_FAILED` if a newer run has written the window: it neither deletes rows of the newer run nor
 * adds its own. The table needs an index that begins with the window column and the fence column; {@link ddl} creates it.
 *
 * Values: `undefined` is stored as NULL, plain objects and arrays as JSON text; other objects are rejected.
 *
 * Every write throws `SINK_TABLE_INVALID`, with the statements that add what is missing, if the table, a column or a unique index that it
 * needs is missing, and `SINK_ROW_INVALID` for a value that can't be stored.
 */
export class SqlTable<Row extends object> {
  /** The structure of the table, for tools that read it. */
  readonly layout: SqlTableLayout
  readonly #shape: TableShape
  readonly #properties: readonly string[]
  readonly #loader: BulkLoader
  readonly #home: TableHome
  readonly #windows: WindowWrites
  readonly #names = new BatchNames()
  readonly #together = new SharedWrites()

  /** @throws PikoError `SINK_FAILED` naming every unknown or unusable option */
  constructor(given: SqlTableOptions<Row>) {
    this.#shape = tableShape(given)
    const { name, columns, key, windowColumn, fenceColumn, bulk } = this.#shape
    this.#loader = new BulkLoader(name, bulk)
    this.#home = new TableHome(this.#shape)
    this.#windows = new WindowWrites(this.#shape)
    this.#properties = columns.map(({ property }) => property)
    const names = columns.map(({ column }) => column)
    const layout = { name, columns: Object.freeze(names), key, windowColumn, fenceColumn }
    this.layout = Object.freeze(this.#shape.checksum ? { ...layout, checksum: true } : layout)
  }

  /**
   * Returns the statements that create the table, with the index that {@link replace} and {@link merge} need. With `from`, they add the
   * missing columns to a table instead. Execute each statement separately.
   *
   * @throws PikoError `SINK_FAILED` if the type of a column is unknown, or a missing column can't be added later
   */
  ddl({ dialect = 'mysql', from }: SqlTableDdl = {}): readonly string[] {
    if (from === undefined) return createTable(dialect, this.#shape)
    return addColumns(dialect, this.#shape, 'layout' in from ? written(from.layout) : from)
  }

  /**
   * Checks that the table has all columns, and a unique index for its `key`. Creates the table `piko_fence` in the same schema, which
   * stores which claim has written each window. Call this in the sink's `open`, so that a wrong table fails the first run before it does
   * any work.
   *
   * @throws PikoError `SINK_TABLE_INVALID` naming what is missing, with the statements that add it
   */
  async open(env: { readonly sql: SqlDatabase }, { on = env.sql, create = false }: SqlTableOpen = {}): Promise<void> {
    await this.#home.open(on, create)
  }

  /**
   * Replaces the content of the window with the batches of an attempt: the first batch deletes the rows of earlier runs.
   *
   * @throws PikoError `JOB_INVALID` for a run without a window; call `insert` or `upsert` instead
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`), the table has no window column, or the job
   * has items; call `merge` for these
   */
  async replace(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    // All items of a run write rows of its window. The first batch of each item would delete the rows of the others.
    if (batch.itemId !== undefined) throw this.#wrong('replace was called for rows of an item; use merge')
    if (batch.isShared) throw this.#wrong('replace was called by the handler of a job with items; use merge')
    const writer = this.#writerOf(batch, 'replace', rows)
    const given = this.#rowsOf(batch, rows, batch.fence)
    const all = await this.#addBatch(on, writer, given, (trx, add) => this.#windows.replace(trx, writer, add))
    noteRows(batch, this.layout, on, all)
  }

  /**
   * Deletes the rows of the window from earlier runs. With `before`, deletes only the rows of earlier generations. Call it with the run's
   * scope, or with `{ window, before }`.
   *
   * @throws PikoError `JOB_INVALID` for a run without a window
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`), the table has no window column, or no fence
   * column for `before`
   */
  async clear(scope: SinkScope | SqlTableGeneration, { on = scope.sql }: SqlTableTarget = {}): Promise<void> {
    const { window } = this.#windowOf(scope, 'clear')
    if ('before' in scope) this.#needFence('clear with before')
    if (on === undefined) throw this.#wrong('clear got no database; expected { on: database } or a scope with sql')
    if ('before' in scope) {
      const writer = { window, fence: scope.before, runId: undefined, batch: undefined }
      await this.#home.write(on, (trx) => this.#windows.clearBefore(trx, writer))
      return
    }
    const writer = { window, fence: scope.fence, runId: scope.runId, batch: undefined }
    await this.#home.write(on, (trx) => this.#windows.clear(trx, writer))
    noteRows(scope, this.layout, on, 0)
  }

  /**
   * Adds rows. A repeated attempt adds them again: use `replace` or `upsert` if the run may be retried.
   *
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async insert(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const { windowColumn, fenceColumn } = this.#shape
    const given = this.#rowsOf(batch, rows, batch.fence)
    if (windowColumn === null || fenceColumn === undefined || batch.window === undefined) {
      await this.#add(on, given, (_trx, add) => add())
      return
    }
    const writer = { ...this.#writerOf(batch, 'insert', rows), batch: this.#names.next(batch) }
    const all = await this.#addBatch(on, writer, given, (trx, add) => this.#windows.append(trx, writer, add))
    noteRows(batch, this.layout, on, all)
  }

  /** Does the same as {@link insert}. */
  async append(batch: SinkBatch, rows: readonly Row[], target: SqlTableTarget = {}): Promise<void> {
    await this.insert(batch, rows, target)
  }

  /**
   * Adds rows and overwrites existing ones. With `fenceColumn`, rows of newer runs are not overwritten.
   *
   * @param keyColumns the columns of the primary key or of a unique index (MySQL uses any index that matches). Default: the table's `key`
   *   and its window column
   * @throws PikoError `SINK_FAILED` if a key column is unknown, or none is given and there is no default
   */
  async upsert(
    batch: SinkBatch,
    rows: readonly Row[],
    keyColumns: readonly string[] = this.#upsertKey(batch),
    { on = batch.sql }: SqlTableTarget = {},
  ): Promise<void> {
    const columns = this.#columnsOf(batch)
    this.#assertKey('upsert', keyColumns, columns)
    const given = this.#rowsOf(batch, rows, batch.fence)
    await this.#home.assertUnique(on, keyColumns)
    await this.#shared(batch, on, ['upsert', ...keyColumns], given, (all) =>
      this.#home.write(on, (trx) =>
        this.#insert(trx, all, onConflict(trx.dialect, columns, keyColumns, this.#shape.fenceColumn)),
      ),
    )
    // If the key does not contain the window, a row may move to another window later.
    const hasWindow = keyColumns.some((column) => column === this.#shape.windowColumn)
    noteRows(batch, this.layout, on, undefined, hasWindow ? undefined : 'upsert')
  }

  /**
   * Adds rows of a window that many writers share, and overwrites rows of the same generation that have the same key. Rows of older
   * generations stay until {@link clear} is called with `before`, so readers never see a gap. A writer of an older generation is refused.
   *
   * @param keyColumns the columns that identify a row within its window. Together with the window and fence columns they must have a unique
   *   index. Default: the table's `key`
   * @throws PikoError `JOB_INVALID` for a run without a window
   * @throws PikoError `SINK_FAILED` if the table has no window or fence column, a key column is unknown or none is given, or a newer
   * generation has written the window
   */
  async merge(
    batch: SinkBatch,
    rows: readonly Row[],
    keyColumns: readonly string[] = this.#shape.key,
    { on = batch.sql, generation = batch.fence }: SqlTableMerge = {},
  ): Promise<void> {
    const { column, window } = this.#windowOf(batch, 'merge')
    const fenceColumn = this.#needFence('merge')
    const columns = this.#columnsOf(batch)
    this.#assertKey('merge', keyColumns, columns)
    const keys = [...new Set([column, fenceColumn, ...keyColumns])]
    const given = this.#rowsOf(batch, rows, generation)
    await this.#home.assertUnique(on, keys)
    const writer = { window, fence: generation, runId: batch.runId, batch: undefined }
    const clause = onConflict(on.dialect, columns, keys, undefined)
    await this.#shared(batch, on, ['merge', String(batch.runId), ...keys], given, (all) =>
      this.#home.write(on, (trx) => this.#windows.merge(trx, writer, () => this.#insert(trx, all, clause))),
    )
    noteRows(batch, this.layout, on, undefined, 'merge')
  }

  /** Writes a batch. Batches of items whose rows have the same window and fence are written together. */
  #shared(
    { itemId, signal }: SinkBatch,
    on: SqlDatabase,
    kind: readonly string[],
    rows: TableRows,
    send: (rows: TableRows) => Promise<void>,
  ): Promise<void> {
    if (itemId === undefined) return send(rows)
    const alike = JSON.stringify([
      ...kind,
      rows.columns,
      rows.filled.map((value) => (value instanceof Date ? value.getTime() : String(value))),
    ])
    return this.#together.write(on, alike, rows, send, signal)
  }

  #insert(trx: SqlExecutor, rows: TableRows, clause?: string): Promise<void> {
    return insertRows(trx, rows, this.#shape.chunkSize, clause)
  }

  /**
   * Adds rows in a transaction. Uses `LOAD DATA` if it is possible and faster.
   *
   * @param fn receives a function that adds the rows
   */
  async #add<T>(on: SqlDatabase, rows: TableRows, fn: (trx: SqlExecutor, add: () => Promise<void>) => Promise<T>) {
    const insert = (): Promise<T> => this.#home.write(on, (trx) => fn(trx, () => this.#insert(trx, rows)))
    const data = await this.#loader.prepare(on, rows)
    if (!data) return insert()
    try {
      return await this.#home.write(on, (trx) =>
        fn(trx, async () => {
          if (!(await this.#loader.load(trx, data))) await this.#insert(trx, rows)
        }),
      )
    } catch (error) {
      this.#loader.failed(on, error)
      if (!this.#loader.fallsBack(error)) throw error
      return insert()
    }
  }

  /** Adds the rows of a batch. @returns how many rows the claim has in the table now; undefined: unknown */
  async #addBatch(
    on: SqlDatabase,
    batch: WindowBatch,
    rows: TableRows,
    fn: (trx: SqlExecutor, add: () => Promise<void>) => Promise<number | undefined>,
  ): Promise<number | undefined> {
    try {
      return await this.#add(on, rows, fn)
    } catch (error) {
      // An earlier delivery of the same batch may have exceeded its time limit and stored these rows in the meantime.
      if (databaseFault(error) !== 'data') throw error
      const state = await this.#windows.delivered(on, batch)
      if (!state) throw error
      return state.rows
    }
  }

  #columnsOf({ window }: SinkScope): string[] {
    const { windowColumn, fenceColumn } = this.#shape
    return [
      ...this.layout.columns,
      ...(window !== undefined && windowColumn !== null ? [windowColumn] : []),
      ...(fenceColumn === undefined ? [] : [fenceColumn]),
    ]
  }

  #rowsOf(scope: SinkScope, rows: readonly Row[], fence: number): TableRows {
    const { name: table, windowColumn, fenceColumn } = this.#shape
    const { window } = scope
    const filled = [
      ...(window !== undefined && windowColumn !== null ? [window.start] : []),
      ...(fenceColumn === undefined ? [] : [fence]),
    ]
    return { table, columns: this.#columnsOf(scope), properties: this.#properties, rows, filled }
  }

  #assertKey(what: string, keyColumns: readonly string[], columns: readonly string[]): void {
    const unknown = keyColumns.find((column) => !columns.includes(column))
    if (unknown === undefined && keyColumns.length > 0) return
    throw this.#wrong(`${what} got the key columns ${describe(keyColumns)}; expected some of ${columns.join(', ')}`)
  }

  /**
   * Returns the default key of `upsert`. A table with both a window and a fence column has no default key. With the fence in the key, rows
   * of older runs would stay next to the new ones. For a key without the fence, the table has no unique index.
   */
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

  #writerOf(batch: SinkBatch, what: string, rows: readonly Row[]): WindowBatch {
    const { window } = this.#windowOf(batch, what)
    const { fence, runId, index } = batch
    return { window, fence, runId, index, rows: rows.length, batch: this.#names.of(batch) }
  }

  #windowOf(scope: { readonly window: Window | undefined; readonly jobId?: string }, what: string): WindowKey {
    const { name, windowColumn } = this.#shape
    if (windowColumn === null) throw this.#wrong(`${what} needs a windowColumn, but it is null; use insert or upsert`)
    if (scope.window !== undefined) return { column: windowColumn, window: scope.window }
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
  readonly window: Window
}

function written({ columns, windowColumn, fenceColumn }: SqlTableLayout): string[] {
  return [windowColumn, fenceColumn, ...columns].filter((column) => typeof column === 'string')
}

/**
 * Creates an {@link SqlTable}.
 *
 * @throws PikoError `SINK_FAILED` naming every unknown or unusable option
 * @example
 * const orders = sqlTable<Order>({ name: 'orders', columns: ['id', 'total'], fenceColumn: 'fence' })
 * const typed = sqlTable({ name: 'orders', model: Order, key: ['id'], fenceColumn: 'fence' }) // a zod schema: ddl() knows the types
 */
export function sqlTable<Row extends object>(options: SqlTableOptions<Row>): SqlTable<Row> {
  return new SqlTable(options)
}
