import { crc32 } from 'node:zlib'
import { SQLITE_CRC32 } from '../../../sql/row-checksum.ts'
import { dirname } from 'node:path'
// This is a separate `import type`, because an import with inline types would load the module, which prints a warning.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import type { SqliteDatabase, SqliteStatement } from 'kysely'
import { propertyOf } from '../../../errors-read.ts'
import { describe, PikoError } from '../../../errors.ts'
import { UnstorableValue } from '../../../sql/database-faults.ts'
import { exactInteger, wantsExactIntegers } from '../../statements/exact-integers.ts'
import { SqlScanner } from '../../statements/sql-scanner.ts'
import { BUSY_TIMEOUT_MS } from './lock-wait.ts'
import { makeFolder } from './make-folder.ts'
import { nodeSqlite } from '../../../sql/node-sqlite.ts'
import { compiledToObject, copiedToObject, type ToObject } from './row-objects.ts'

const CACHED_STATEMENTS = 100
/** From this number of rows on, a function that is compiled for the statement's columns is worth its compilation. */
const MANY_ROWS = 100

/**
 * Opens the file, or creates it with its folder.
 *
 * The database uses WAL with `synchronous=NORMAL`: a commit survives a crash of the process. A power failure may lose the last commits, but
 * never corrupts the file.
 *
 * @param path a file, or `:memory:`
 */
export function openSqlite(path: string): OpenedSqlite {
  if (path !== ':memory:') makeFolder(dirname(path))
  const database = new (nodeSqlite().DatabaseSync)(path)
  database.function(SQLITE_CRC32, { deterministic: true }, (text) => crc32(String(text)))
  try {
    // This is set first. If several processes create the file at the same time, the switch to WAL then also waits.
    database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    database.exec('PRAGMA journal_mode = WAL')
    database.exec('PRAGMA synchronous = NORMAL')
    database.exec('PRAGMA foreign_keys = ON')
  } catch (error) {
    database.close()
    throw error
  }
  return new CachingDatabase(database)
}

/** An open file whose statements are prepared once. */
export interface OpenedSqlite extends SqliteDatabase {
  prepare(text: string): PreparedStatement
}

/** A prepared statement. */
export interface PreparedStatement extends SqliteStatement {
  /** Whether the rows that it returns are rows that it has changed. */
  readonly returnsChanges: boolean
}

/**
 * Caches the most recently used prepared statements by their text; at most twice {@link CACHED_STATEMENTS}. When the recent ones are that
 * many, they become the earlier ones, and the earlier ones that have not been used since are dropped.
 */
class CachingDatabase implements OpenedSqlite {
  readonly #database: DatabaseSync
  #recent = new Map<string, PreparedStatement>()
  #earlier: ReadonlyMap<string, PreparedStatement> = new Map()

  constructor(database: DatabaseSync) {
    this.#database = database
  }

  prepare(text: string): PreparedStatement {
    const recent = this.#recent.get(text)
    if (recent) return recent
    const prepared = this.#earlier.get(text) ?? new BoundStatement(wholly(this.#database.prepare(text), text))
    if (this.#recent.size >= CACHED_STATEMENTS) {
      this.#earlier = this.#recent
      this.#recent = new Map()
    }
    this.#recent.set(text, prepared)
    return prepared
  }

  close(): void {
    this.#recent.clear()
    this.#earlier = new Map()
    this.#database.close()
  }
}

/** Throws if the text has several statements, because SQLite would prepare only the first and ignore the others. */
function wholly(statement: StatementSync, text: string): StatementSync {
  const first = statement.sourceSQL
  const rest = text.slice(text.indexOf(first) + first.length)
  if (new SqlScanner(rest.replaceAll(';', ' '), 'sqlite').next() === undefined) return statement
  throw new PikoError(
    'USAGE',
    `SQLite would execute only the first statement of this text; send each in a separate call: ${first.slice(0, 100)}`,
  )
}

const READ = /^\s*select\b/i
/** Matches `count(*)`, whose `*` does not stand for columns. */
const COUNT = /\bcount\(\*\)/gi

/** Converts the values of a user's row to those that MySQL's driver returns. */
function exactRow(row: unknown): unknown {
  const object = row as Record<string, unknown>
  for (const [name, value] of Object.entries(object)) {
    if (typeof value === 'bigint') object[name] = exactInteger(value)
    else if (value instanceof Uint8Array) object[name] = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  return object
}

/** Matches the end of a statement that returns the rows that it has changed. */
const RETURNING = /\breturning\b/i

class BoundStatement implements PreparedStatement {
  readonly reader: boolean
  readonly returnsChanges: boolean
  readonly #statement: StatementSync
  readonly #hasFixedNames: boolean
  #known: ToObject | undefined
  #isCompiled = false

  constructor(statement: StatementSync) {
    this.#statement = statement
    this.reader = statement.columns().length > 0
    this.returnsChanges = this.reader && RETURNING.test(statement.sourceSQL.slice(-100))
    this.#hasFixedNames = !statement.sourceSQL.replaceAll(COUNT, '').includes('*')
    statement.setReturnArrays(true)
  }

  all(parameters: readonly unknown[]): unknown[] {
    const values = parameters.map(bound)
    const isExact = wantsExactIntegers(parameters)
    try {
      return this.#rows(values, isExact)
    } catch (thrown) {
      // A person has written an integer that a JavaScript number can't represent. It is read as a string, so that the check of its row can
      // report it. Only reads are repeated.
      if (isExact || propertyOf(thrown, 'code') !== 'ERR_OUT_OF_RANGE' || !READ.test(this.#statement.sourceSQL))
        throw thrown
      return this.#rows(values, true)
    }
  }

  #rows(values: readonly SQLInputValue[], isExact: boolean): unknown[] {
    this.#statement.setReadBigInts(isExact)
    const rows: unknown[] = this.#statement.all(...values)
    const objects = rows.length > 0 ? rows.map(this.#toObject(rows.length)) : rows
    return isExact ? objects.map(exactRow) : objects
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#statement.run(...parameters.map(bound))
  }

  *iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    let toObject: ((row: unknown) => unknown) | undefined
    for (const row of this.#statement.iterate(...parameters.map(bound)))
      yield (toObject ??= this.#toObject(MANY_ROWS))(row)
  }

  /**
   * Returns a function that converts a row's array to an object, because objects from `node:sqlite` take twice as long to create and to
   * read. If the statement may select all columns of a table, their names are read again for each result, because SQLite prepares the
   * statement again after a schema change.
   */
  #toObject(rowCount: number): ToObject {
    if (this.#known && (this.#isCompiled || rowCount < MANY_ROWS)) return this.#known
    const names = this.#statement.columns().map(({ name }) => name)
    this.#isCompiled = rowCount >= MANY_ROWS
    const toObject = this.#isCompiled ? compiledToObject(names) : copiedToObject(names)
    if (this.#hasFixedNames) this.#known = toObject
    return toObject
  }
}

function bound(value: unknown, index: number): SQLInputValue {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      return value
    case 'boolean':
      return value ? 1 : 0
    default:
      if (value === null || value instanceof Uint8Array) return value
      if (value instanceof Date) return value.toISOString()
      // node:sqlite would use an object as a set of named parameters.
      throw new UnstorableValue(
        `SQLite parameter ${index + 1} is ${describe(value)}; expected a string, number, bigint, boolean, Date, Uint8Array or null`,
      )
  }
}
