import { describe, PikoError } from '../../errors.ts'
import { retryContention } from '../../sql/contention.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import { onConflict, quoted, quotedTable } from '../../sql/sql-text.ts'
import type { Window } from '../../time/window.ts'
import type { SinkBatch, SinkScope } from '../sink.ts'
import { noteRows } from '../written-rows.ts'
import { BulkLoader } from './bulk-loader.ts'
import { insertRows, type TableRows } from './insert-rows.ts'
import { rowValues } from './row-values.ts'
import { existingColumns, tableProblem } from './table-check.ts'
import { addColumns, createTable } from './table-ddl.ts'
import type {
  SqlTableDdl,
  SqlTableGeneration,
  SqlTableLayout,
  SqlTableMerge,
  SqlTableOpen,
  SqlTableTarget,
} from './table-calls.ts'
import { type SqlTableOptions, type TableShape, tableShape } from './table-options.ts'

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
  readonly #loader: BulkLoader

  /** @throws PikoError `SINK_FAILED` naming every unknown or unusable option */
  constructor(given: SqlTableOptions<Row>) {
    this.#shape = tableShape(given)
    const { name, columns, key, windowColumn, fenceColumn, bulk } = this.#shape
    this.#loader = new BulkLoader(name, bulk)
    this.#properties = columns.map(({ property }) => property)
    const names = columns.map(({ column }) => column)
    const layout = { name, columns: Object.freeze(names), key, windowColumn, fenceColumn }
    this.layout = Object.freeze(this.#shape.checksum ? { ...layout, checksum: true } : layout)
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
    const given = await this.#rowsOf(batch, rows, batch.fence)
    await this.#writeMany(on, given, async (trx, add) => {
      if (batch.index === 0) {
        await this.#refuseStale(trx, batch, batch.fence)
        await this.#delete(trx, window, batch.fence, '<=')
      }
      await add()
      // An older run may have inserted rows between the delete and the first insert. Two runs that reach this point see each other.
      if (batch.index === 0 && this.#shape.fenceColumn !== undefined) await this.#delete(trx, window, batch.fence, '<')
      await this.#refuseStale(trx, batch, batch.fence, 'locking')
    })
    noteRows(batch, this.layout, on, rows.length, batch.index === 0)
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
    if (!('before' in scope)) noteRows(scope, this.layout, on, 0, true)
  }

  /**
   * Adds rows. A repeated attempt adds them again: use `replace` or `upsert` if the run may be retried.
   *
   * @throws PikoError `SINK_FAILED` if a newer run has written the window (with `fenceColumn`)
   */
  async insert(batch: SinkBatch, rows: readonly Row[], { on = batch.sql }: SqlTableTarget = {}): Promise<void> {
    const given = await this.#rowsOf(batch, rows, batch.fence)
    await this.#writeMany(on, given, async (trx, add) => {
      await add()
      await this.#refuseStale(trx, batch, batch.fence, 'locking')
    })
    noteRows(batch, this.layout, on, rows.length, false)
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
    const columns = this.#columnsOf(batch)
    this.#assertKey('upsert', keyColumns, columns)
    const given = await this.#rowsOf(batch, rows, batch.fence)
    await this.#write(on, (trx) =>
      this.#insert(trx, given, onConflict(trx.dialect, columns, keyColumns, this.#shape.fenceColumn)),
    )
    // Without the window in its key, a row may move to another window later.
    if (keyColumns.some((column) => column === this.#shape.windowColumn))
      noteRows(batch, this.layout, on, undefined, false)
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
    const columns = this.#columnsOf(batch)
    this.#assertKey('merge', keyColumns, columns)
    const keys = [...new Set([column, fenceColumn, ...keyColumns])]
    const given = await this.#rowsOf(batch, rows, generation)
    await this.#write(on, async (trx) => {
      await this.#insert(trx, given, onConflict(trx.dialect, columns, keys, undefined))
      await this.#refuseStale(trx, batch, generation, 'locking')
    })
  }

  #insert(trx: SqlExecutor, rows: TableRows, clause?: string): Promise<void> {
    return insertRows(trx, rows, this.#shape.chunkSize, clause)
  }

  /**
   * Like {@link #write}, for rows that may be loaded.
   *
   * @param fn gets a function that adds the rows
   */
  async #writeMany(
    on: SqlDatabase,
    rows: TableRows,
    fn: (trx: SqlExecutor, add: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const insert = (): Promise<void> => this.#write(on, (trx) => fn(trx, () => this.#insert(trx, rows)))
    const data = await this.#loader.prepare(on, rows)
    if (!data) return insert()
    try {
      await this.#write(on, (trx) =>
        fn(trx, async () => {
          if (!(await this.#loader.load(trx, data))) await this.#insert(trx, rows)
        }),
      )
    } catch (error) {
      this.#loader.failed(on, error)
      if (!this.#loader.fallsBack(error)) throw error
      await insert()
    }
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

  #columnsOf({ window }: SinkScope): string[] {
    const { windowColumn, fenceColumn } = this.#shape
    return [
      ...this.layout.columns,
      ...(window !== undefined && windowColumn !== null ? [windowColumn] : []),
      ...(fenceColumn === undefined ? [] : [fenceColumn]),
    ]
  }

  async #rowsOf(scope: SinkScope, rows: readonly Row[], fence: number): Promise<TableRows> {
    const { name: table, windowColumn, fenceColumn } = this.#shape
    const { window } = scope
    const filled = [
      ...(window !== undefined && windowColumn !== null ? [window.start] : []),
      ...(fenceColumn === undefined ? [] : [fence]),
    ]
    const values = await rowValues(table, this.#properties, rows, filled)
    return { table, columns: this.#columnsOf(scope), values, filled: filled.length }
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
