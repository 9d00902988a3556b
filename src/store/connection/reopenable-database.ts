import type { Transaction } from 'kysely'
import { PikoError } from '../../errors.ts'
import type { SqlDatabase } from '../../sql/sql.ts'
import { BrokenRows } from '../values/broken-rows.ts'
import type { Database } from './database.ts'
import { MAX_VALUE_BYTES } from '../../json/json.ts'
import type { Tables } from '../tables.ts'

/**
 * A database that can be closed and opened again while other code uses it, so that the store's service can restart. While it opens,
 * transactions and plain SQL wait; single queries fail.
 */
export class ReopenableDatabase implements Database {
  readonly #openDatabase: () => Promise<Database>
  #opening: Promise<Database> | undefined
  #current: Database | undefined
  readonly sql: SqlDatabase
  /** The same object before and after restarts. */
  readonly broken = new BrokenRows()
  onConnection: Database['onConnection'] = () => Promise.resolve()
  #maxValueBytes = MAX_VALUE_BYTES

  constructor(open: () => Promise<Database>, dialectName: SqlDatabase['dialect']) {
    this.#openDatabase = open
    const maxStatementBytes = (): number | undefined => this.#current?.dialect.sizes.statement
    this.sql = {
      dialect: dialectName,
      get maxStatementBytes() {
        return maxStatementBytes()
      },
      query: (sql, params) => this.#with((database) => database.sql.query(sql, params)),
      exec: (sql, params) => this.#with((database) => database.sql.exec(sql, params)),
      transaction: (fn, options) => this.#with((database) => database.sql.transaction(fn, options)),
    }
  }

  /** @throws the errors of {@link openDatabase} */
  async open(): Promise<void> {
    this.#opening = this.#openDatabase()
    try {
      this.#current = await this.#opening
      this.#maxValueBytes = this.#current.maxValueBytes
      this.#current.onConnection = (query) => this.onConnection(query)
    } catch (error) {
      this.#opening = undefined
      throw error
    }
  }

  get db(): Database['db'] {
    return this.#open.db
  }

  get dialect(): Database['dialect'] {
    return this.#open.dialect
  }

  get maxValueBytes(): number {
    return this.#maxValueBytes
  }

  get transactionMs(): number {
    return this.#open.transactionMs
  }

  get files(): Database['files'] {
    return this.#current?.files ?? []
  }

  get recording(): Database['recording'] {
    return this.#open.recording
  }

  get location(): string {
    return this.#open.location
  }

  readonly poolFigures = () => this.#current?.poolFigures?.()
  readonly connectionIds = (): readonly number[] => this.#current?.connectionIds() ?? []

  // These are fields and not methods, so that they can be destructured.
  readonly transaction = <T>(fn: (trx: Transaction<Tables>) => Promise<T>): Promise<T> =>
    this.#with((database) => database.transaction(fn))

  readonly enter = <T>(body: () => Promise<T>): Promise<T> => this.#with((database) => database.enter(body))

  readonly isInside = (): boolean => this.#current?.isInside() ?? false

  readonly assertOutside = (what: string): void => this.#current?.assertOutside(what)

  readonly retry = <T>(fn: () => Promise<T>): Promise<T> => this.#with((database) => database.retry(fn))

  readonly cut = (): void => this.#current?.cut()

  readonly close = async (): Promise<void> => {
    const current = this.#current
    this.#current = undefined
    this.#opening = undefined
    await current?.close()
  }

  get #open(): Database {
    if (this.#current) return this.#current
    throw new PikoError('DATABASE_UNREACHABLE', 'the store is not open: it is starting, restarting or stopped')
  }

  /** Waits only while the database opens, because another promise for each call would delay every run. */
  #with<T>(use: (database: Database) => Promise<T>): Promise<T> {
    return this.#current ? use(this.#current) : this.#onceOpen(use)
  }

  async #onceOpen<T>(use: (database: Database) => Promise<T>): Promise<T> {
    return use((await this.#opening) ?? this.#open)
  }
}
