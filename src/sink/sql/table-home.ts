import { chainOf } from '../../errors-read.ts'
import { isContention, retryContention } from '../../sql/contention.ts'
import { databaseFault } from '../../sql/database-faults.ts'
import type { SqlDatabase, SqlExecutor } from '../../sql/sql.ts'
import { PikoError, toError } from '../../errors.ts'
import { createFenceTable, fenceTableOf } from './fence-table.ts'
import { existingColumns, tableProblem } from './table-check.ts'
import { createTable, filledNames } from './table-ddl.ts'
import type { TableShape } from './table-options.ts'
import { isUnique, noIndex, uniqueIndexes } from './unique-index.ts'
import { RepeatedBatch } from './window-fence.ts'

/** Checks that a database has what a table needs: the columns, the unique index, and the fences of the windows. */
export class TableHome {
  readonly #shape: TableShape
  /** The unique indexes of the table, by database. */
  readonly #indexes = new WeakMap<SqlDatabase, Promise<readonly (readonly string[])[]>>()

  constructor(shape: TableShape) {
    this.#shape = shape
  }

  /** Checks the table. With `create`, creates a missing table. @throws PikoError `SINK_TABLE_INVALID` */
  async open(on: SqlDatabase, create: boolean): Promise<void> {
    const shape = this.#shape
    const existing = await existingColumns(on, shape.name)
    if (create && existing.length === 0) {
      for (const statement of createTable(on.dialect, shape)) await on.exec(statement)
      return
    }
    const problem = tableProblem(on.dialect, shape, existing)
    if (problem) throw problem
    await this.#assertKey(on)
    if (shape.windowColumn !== null) await this.#addFences(on)
  }

  /**
   * Runs a transaction. Repeats it after a deadlock or a lock timeout, or if another delivery of the same batch was faster.
   *
   * @throws PikoError `SINK_TABLE_INVALID` if the table or a column is missing, or the table of the fences is missing and can't be created
   */
  async write<T>(on: SqlDatabase, fn: (trx: SqlExecutor) => Promise<T>): Promise<T> {
    const run = (): Promise<T> =>
      retryContention(
        () => on.transaction(fn),
        (error) => isContention(error) || isRepeated(error),
      )
    try {
      return await run()
    } catch (error) {
      if (databaseFault(error) !== 'programming') throw error
      const problem = await this.#problemOf(on, toError(error)).catch(() => toError(error))
      if (problem) throw problem
      await this.#addFences(on)
      return run()
    }
  }

  /**
   * Checks that a unique index prevents two rows with the same key. Reads the indexes of each database only once.
   *
   * @throws PikoError `SINK_TABLE_INVALID` with the statement that adds the index
   */
  async assertUnique(on: SqlDatabase, columns: readonly string[]): Promise<void> {
    if (isUnique(await this.#indexesOf(on), columns)) return
    this.#indexes.delete(on)
    // If there are no columns, the table does not exist, which the write itself reports.
    if ((await existingColumns(on, this.#shape.name)).length === 0) return
    throw noIndex(
      on.dialect,
      this.#shape.name,
      columns,
      'without it, MySQL would store a row again instead of changing it',
    )
  }

  async #assertKey(on: SqlDatabase): Promise<void> {
    const { key, name } = this.#shape
    if (key.length === 0) return
    const filled = filledNames(this.#shape)
    const indexes = await this.#indexesOf(on)
    const choices = [[], ...filled.map((column) => [column]), filled].map((more) => [...more, ...key])
    if (choices.some((columns) => isUnique(indexes, columns))) return
    this.#indexes.delete(on)
    const why =
      'rows with the same key would be stored twice. Add the index, or leave out key if duplicates are allowed'
    throw noIndex(on.dialect, name, choices.at(-1) ?? key, why)
  }

  #indexesOf(on: SqlDatabase): Promise<readonly (readonly string[])[]> {
    const known = this.#indexes.get(on)
    if (known) return known
    const read = uniqueIndexes(on, this.#shape.name)
    this.#indexes.set(on, read)
    read.catch(() => this.#indexes.delete(on))
    return read
  }

  /** Returns the error to throw for a failed statement. Undefined if only the fences are missing. */
  async #problemOf(on: SqlDatabase, error: Error): Promise<Error | undefined> {
    const { name, windowColumn } = this.#shape
    const problem = tableProblem(on.dialect, this.#shape, await existingColumns(on, name), error)
    if (problem) return problem
    const hasFences = windowColumn === null || (await existingColumns(on, fenceTableOf(name))).length > 0
    return hasFences ? error : undefined
  }

  async #addFences(on: SqlDatabase): Promise<void> {
    const { name } = this.#shape
    const fences = fenceTableOf(name)
    if ((await existingColumns(on, fences)).length > 0) return
    const statement = createFenceTable(on.dialect, name)
    try {
      await on.exec(statement)
    } catch (cause) {
      throw new PikoError(
        'SINK_TABLE_INVALID',
        `table ${name}: the table ${fences} for the fences of its windows is missing, and can't be created. Execute:\n${statement};`,
        { cause, details: { table: name, missing: [fences] } },
      )
    }
  }
}

function isRepeated(error: unknown): boolean {
  return chainOf(error).some((link) => link instanceof RepeatedBatch)
}
