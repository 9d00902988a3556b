import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createConnection } from 'mysql2/promise'
import { afterAll, beforeAll, describe, inject } from 'vitest'
import { type Database, openDatabase, type OpenOptions } from '../../src/store/connection/database.ts'
import './mysql-global-setup.ts'
import './sqlite-global-setup.ts'

/** Creates an empty database on the shared server. */
export async function createMysqlDatabase(): Promise<{
  options: NonNullable<OpenOptions['mysql']>
  dsn: string
  drop: () => Promise<void>
}> {
  const server = inject('mysqlDsn').replace(/\/$/, '')
  const name = `piko_test_${process.pid}_${randomBytes(4).toString('hex')}`
  const admin = async (statement: string): Promise<void> => {
    const connection = await createConnection(server)
    await connection.query(statement)
    await connection.end()
  }
  await admin(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  const url = new URL(`${server}/${name}`)
  return {
    options: {
      host: url.hostname,
      port: Number(url.port || 3306),
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: name,
      poolSize: 10,
      poolRecycleMs: 3_600_000,
      connectTimeoutMs: 60_000,
      statementTimeoutMs: 60_000,
    },
    dsn: url.href,
    drop: () => admin(`DROP DATABASE IF EXISTS ${name}`),
  }
}

/** The path of a SQLite file that does not exist yet, in its own folder. */
export function createSqliteFile(): { path: string; remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), 'piko-sqlite-'))
  return { path: join(folder, 'piko.db'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}

export interface TestStore {
  readonly name: 'sqlite' | 'mysql'
  /** Options that open this store in another process. Available while the suite runs. */
  readonly options: OpenOptions
  /**
   * Opens the store's migrated database. Each call returns a separate pool on the same data, closed after the suite.
   */
  open(options?: Pick<OpenOptions, 'clock'>): Promise<Database>
  /** Deletes every row, for a test that needs empty tables. */
  empty(): Promise<void>
}

/** Runs one suite on every store, so no store can differ. Migrates the tables once per suite. */
export function describeEachStore(suite: (store: TestStore) => void): void {
  describeOn(new SuiteStore('sqlite'), suite)
  describeOn(new SuiteStore('mysql'), suite)
}

/** For values that only SQLite accepts in a row. */
export function describeSqlite(suite: (store: TestStore) => void): void {
  describeOn(new SuiteStore('sqlite'), suite)
}

/** For features that only a server has. */
export function describeMysql(suite: (store: TestStore) => void): void {
  describeOn(new SuiteStore('mysql'), suite)
}

/** The same, and once more on a server without SKIP LOCKED. */
export function describeEachStoreAndOldServer(suite: (store: TestStore) => void): void {
  describeEachStore(suite)
  describeOn(new SuiteStore('mysql', { skipLocked: false }), suite)
}

function describeOn(store: SuiteStore, suite: (store: TestStore) => void): void {
  describe(`on ${store.title}`, () => {
    beforeAll(() => store.create())
    afterAll(() => store.destroy())
    suite(store)
  })
}

class SuiteStore implements TestStore {
  readonly name: 'sqlite' | 'mysql'
  #options: OpenOptions | undefined
  #remove: () => void | Promise<void> = () => {}
  readonly #opened: Database[] = []

  readonly #server: { skipLocked?: boolean }

  constructor(name: SuiteStore['name'], server: { skipLocked?: boolean } = {}) {
    this.name = name
    this.#server = server
  }

  get title(): string {
    return this.#server.skipLocked === false ? `${this.name} without SKIP LOCKED` : this.name
  }

  get options(): OpenOptions {
    if (!this.#options) throw new Error('the store is there only while its tests run')
    return this.#options
  }

  async create(): Promise<void> {
    if (this.name === 'mysql') {
      const { options, drop } = await createMysqlDatabase()
      this.#options = { mysql: { ...options, ...this.#server } }
      this.#remove = drop
    } else {
      const { path, remove } = createSqliteFile()
      copyFileSync(inject('sqliteTemplate'), path)
      this.#options = { sqlitePath: path }
      this.#remove = remove
    }
    const database = await this.open()
    if (this.name === 'mysql') for (const statement of inject('mysqlTables')) await database.sql.exec(statement)
  }

  async open(options: Pick<OpenOptions, 'clock'> = {}): Promise<Database> {
    const database = await openDatabase({ ...this.options, ...options })
    this.#opened.push(database)
    return database
  }

  async empty(): Promise<void> {
    const [database] = this.#opened
    if (!database) throw new Error('the store is there only while its tests run')
    const tables = await database.sql.query<{ name: string }>(
      this.name === 'mysql'
        ? 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = DATABASE()'
        : `SELECT name FROM sqlite_schema WHERE type = 'table'`,
    )
    for (const { name } of tables) {
      if (name.startsWith('piko_') && !name.startsWith('piko_migration')) await database.sql.exec(`DELETE FROM ${name}`)
    }
  }

  async destroy(): Promise<void> {
    await Promise.all(this.#opened.map((database) => database.close()))
    await this.#remove()
  }
}
