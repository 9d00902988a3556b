import {
  CamelCasePlugin,
  CompiledQuery,
  type Dialect,
  Kysely,
  type KyselyPlugin,
  MysqlDialect,
  ParseJSONResultsPlugin,
  WithSchemaPlugin,
} from 'kysely'
import { createConnection, createPool } from 'mysql2'
import {
  type ConnectionOptions,
  createConnection as createPromiseConnection,
  createPool as createPromisePool,
} from 'mysql2/promise'
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { openDatabase, type OpenOptions } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import type { EnqueueTransaction } from '../../src/store/statements/user-transaction.ts'
import { NodeSqliteDialect } from '../../src/store/connection/sqlite/sqlite-driver.ts'
import { startApp, storeSettings } from '../support/app.ts'
import { createMysqlDatabase, createSqliteFile, describeEachStore, type TestStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

type Transaction = <T>(fn: (trx: EnqueueTransaction) => Promise<T>) => Promise<T>
type Rows = Record<string, unknown>[]

/** Texts that a character set, SQL mode, placeholder or conversion could change. */
const INPUTS = [
  'plain',
  '😀 ä €',
  `it's "so" \\ 'that`,
  '? ?? :name :length @x $1 {y}',
  { when: '2031-03-30T01:30:00.123Z', n: 1.5, is: true, none: null },
  '9007199254740993',
  '[1,2]',
  [],
  null,
]
const KEYS = ['plain', 'schlüssel 😀', "it's ?", 'a\\', '{"a":1}']
const AT = new Date('2031-03-30T01:30:00.123Z')

const onRows = (change: (rows: Rows) => unknown[]): KyselyPlugin => ({
  transformQuery: ({ node }) => node,
  transformResult: ({ result }) => Promise.resolve({ ...result, rows: change(result.rows as Rows) as Rows }),
})

const PLUGINS: { name: string; plugin: () => KyselyPlugin }[] = [
  { name: 'CamelCasePlugin', plugin: () => new CamelCasePlugin() },
  { name: 'ParseJSONResultsPlugin', plugin: () => new ParseJSONResultsPlugin() },
  { name: 'WithSchemaPlugin', plugin: () => new WithSchemaPlugin('elsewhere') },
  { name: 'a plugin that drops rows', plugin: () => onRows(() => []) },
  { name: 'a plugin that wraps rows', plugin: () => onRows((rows) => rows.map((row) => ({ data: { row } }))) },
  {
    name: 'a plugin that makes text of values',
    plugin: () =>
      onRows((rows) =>
        rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, `<${String(v)}>`]))),
      ),
  },
]

const OPTIONS: Record<string, ConnectionOptions> = {
  rowsAsArray: { rowsAsArray: true },
  'typeCast: false': { typeCast: false },
  'a typeCast that parses by itself': {
    typeCast: (field, next) => (field.type.startsWith('LONG') ? BigInt(field.string() ?? 0) : next()),
  },
  'a typeCast that hands out bytes': { typeCast: (field) => field.buffer() },
  'charset: latin1': { charset: 'latin1' },
  'charset: ascii': { charset: 'ascii' },
  'charset: cp1251 in lists': { charset: 'cp1251', rowsAsArray: true },
  dateStrings: { dateStrings: true },
  namedPlaceholders: { namedPlaceholders: true },
  supportBigNumbers: { supportBigNumbers: true },
  bigNumberStrings: { supportBigNumbers: true, bigNumberStrings: true },
  decimalNumbers: { decimalNumbers: true },
  timezone: { timezone: '+05:00' },
  nestTables: { nestTables: true },
  "nestTables: '_'": { nestTables: '_' },
  jsonStrings: { jsonStrings: true },
  multipleStatements: { multipleStatements: true },
  stringifyObjects: { stringifyObjects: true },
  disableEval: { disableEval: true },
}

const SESSIONS = [
  `SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'`,
  `SET SESSION sql_mode = 'ANSI,TRADITIONAL'`,
  `SET SESSION sql_mode = ''`,
  'SET NAMES latin1',
  'SET NAMES binary',
  `SET time_zone = '-08:00'`,
  'SET SESSION auto_increment_increment = 7',
  'SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
]

const job = defineJob({ id: 'job' }, (ctx) => ctx.input)

describeEachStore((store) => {
  const start = async (): Promise<Piko> => {
    await store.open()
    return startApp(store.options, job, { execute: false })
  }
  beforeEach(async () => {
    await store.open()
    await store.empty()
  })

  /** Requests whose result depends on every answer of the connection and every text sent to it. */
  const holds = async (transaction: Transaction): Promise<void> => {
    const app = await start()
    const ids = await transaction((trx) =>
      app.enqueueMany(
        'job',
        INPUTS.map((input) => ({ input, runAt: AT })),
        { trx },
      ),
    )
    const stored = new Map((await app.runs.list({ limit: 100 })).map((run) => [run.id, run]))
    expect(ids.map((id) => stored.get(id)?.input)).toEqual(INPUTS)
    for (const { runAt } of stored.values()) expect(runAt).toEqual(AT)

    const keyed = KEYS.map((idempotencyKey, index) => ({ idempotencyKey, input: INPUTS[index] }))
    const outside: number[] = []
    for (const request of keyed.slice(0, 2)) outside.push(await app.enqueue('job', request))
    const first = await transaction((trx) => app.enqueueMany('job', keyed, { trx }))
    expect(first.slice(0, 2)).toEqual(outside)
    const again = await transaction(async (trx) => {
      const each: number[] = []
      for (const request of keyed) each.push(await app.enqueue('job', { ...request, trx }))
      return each
    })
    expect(again).toEqual(first)
    expect(await app.enqueue('job', keyed[3])).toBe(first[3])
    expect(await app.runs.list({ limit: 100 })).toHaveLength(INPUTS.length + KEYS.length)
    const other = transaction((trx) => app.enqueue('job', { trx, idempotencyKey: KEYS[1]!, input: '?? ä €' }))
    expect(await rejected(other)).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' })
  }

  it('returns the id of its own run beside other requests and inserts of the same transaction', async () => {
    const app = await start()
    const number = store.name === 'mysql' ? 'BIGINT AUTO_INCREMENT PRIMARY KEY' : 'INTEGER PRIMARY KEY'
    await app.sql.exec(`CREATE TABLE IF NOT EXISTS own (id ${number}, note INT)`)
    const transactions: Transaction[] = [(fn) => app.sql.transaction(fn), kyselyOn(store)]
    if (store.name === 'mysql') transactions.push(await mysql2(store))
    for (const [kind, transaction] of transactions.entries()) {
      const inputs = Array.from({ length: 20 }, (_, index) => `${kind}-${index}`)
      const ids = await transaction((trx) =>
        Promise.all(
          inputs.flatMap((input, index) => {
            const key = index % 2 === 0 ? {} : { idempotencyKey: input }
            const asked = app.enqueue('job', { trx, input, ...key })
            return [asked, beside(trx)]
          }),
        ),
      )
      const stored = new Map((await app.runs.list({ limit: 100 })).map((run) => [run.id, run.input]))
      expect(ids.filter((_, index) => index % 2 === 0).map((id) => stored.get(id as number))).toEqual(inputs)
    }
    await app.sql.exec('DROP TABLE own')
  })

  describe('enqueue in a Kysely transaction', () => {
    it.each(PLUGINS)('is not affected by $name', ({ plugin }) => holds(kyselyOn(store, {}, [plugin()])))

    it('is not affected by a schema', async () => {
      const transaction = kyselyOn(store)
      await holds((fn) => transaction((trx) => fn((trx as Kysely<unknown>).withSchema('elsewhere') as never)))
    })
  })

  it('refuses objects that commit by themselves or belong to another store, and says what to pass', async () => {
    const app = await start()
    const dialect = store.name === 'mysql' ? 'sqlite' : 'mysql'
    await app.sql.transaction(async (open) => {
      const trx = { ...open, dialect } as const
      const error = await rejected(app.enqueue('job', { trx }))
      expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining(dialect) as string })
    })
    expect(await app.runs.list()).toEqual([])
  })

  it('refuses an ended transaction and a value that is not a transaction, and says so', async () => {
    const app = await start()
    const ended: EnqueueTransaction[] = []
    await app.sql.transaction(async (trx) => void ended.push(trx))
    await kyselyOn(store)(async (trx) => void ended.push(trx))
    for (const trx of ended) {
      const error = await rejected(app.enqueue('job', { trx }))
      expect(error).toMatchObject({ code: 'USAGE', message: expect.stringContaining('has ended') as string })
    }
    for (const trx of [null, 1, 'trx', [], () => {}] as unknown as EnqueueTransaction[]) {
      for (const asked of [app.enqueue('job', { trx }), app.enqueueMany('job', [{}], { trx })])
        expect(await rejected(asked)).toMatchObject({
          code: 'USAGE',
          message: expect.stringContaining('expected the trx of app.sql.transaction') as string,
        })
    }
    expect(await app.runs.list()).toEqual([])
  })

  it('refuses a transaction on another database before anything is written there', async () => {
    const app = await start()
    const other = await openOther(store)
    const { sql } = other.database
    for (const transaction of other.transactions) {
      const error = await rejected(transaction((trx) => app.enqueue('job', { trx, idempotencyKey: 'once' })))
      expect(error).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('of a database other than') as string,
      })
      await transaction((trx) => app.enqueue('job', { trx }).catch(() => {}))
    }
    for (const table of ['piko_run', 'piko_idempotency']) expect(await sql.query(`SELECT * FROM ${table}`)).toEqual([])
    const emptied = await openOther(store, { isMigrated: false })
    for (const transaction of emptied.transactions)
      expect(await rejected(transaction((trx) => app.enqueue('job', { trx })))).toMatchObject({ code: 'USAGE' })
  })

  it('accepts a transaction that another app has opened on the same database', async () => {
    const [app, other] = [await start(), await start()]
    const from = performance.now()
    const id = await other.sql.transaction((trx) => app.enqueue('job', { trx }))
    // On SQLite it would wait 5 s for the turn to write, which the transaction holds until it ends. It needs only milliseconds.
    expect(performance.now() - from).toBeLessThan(4_000)
    expect((await app.runs.list()).map((run) => run.id)).toEqual([id])
  })

  it('avoids deadlocks of many transactions with the same keys in different orders', async () => {
    const app = await start()
    const keys = Array.from({ length: 30 }, (_, index) => `key ${index}`)
    const orders = [keys, keys.toReversed(), [...keys.slice(15), ...keys.slice(0, 15)]]
    for (const round of ['new', 'known']) {
      const stored = await Promise.all(
        // Not more of them: each waits for the locks of all others, and after 5 s a transaction gives up its wait.
        orders.map((order) =>
          app.sql.transaction((trx) =>
            app.enqueueMany(
              'job',
              order.map((idempotencyKey) => ({ idempotencyKey })),
              { trx },
            ),
          ),
        ),
      )
      expect(new Set(stored.flat()).size, round).toBe(keys.length)
    }
    const one = await Promise.all(
      Array.from({ length: 4 }, () =>
        app.sql.transaction((trx) => app.enqueue('job', { trx, idempotencyKey: keys[0]! })),
      ),
    )
    expect(new Set(one).size).toBe(1)
  })

  if (store.name === 'sqlite') return

  describe('enqueue on a connection of the user', () => {
    it.each(Object.entries(OPTIONS))('of mysql2 is not affected by %s', async (_name, options) =>
      holds(await mysql2(store, options)),
    )

    it.each(Object.entries(OPTIONS))('of Kysely is not affected by %s', (_name, options) =>
      holds(kyselyOn(store, options, [new CamelCasePlugin()])),
    )

    it.each(SESSIONS)('of mysql2 is not affected by %s', async (text) => holds(await mysql2(store, {}, text)))

    it('of a pool of mysql2 works', async () => {
      const pool = createPromisePool({ uri: dsnOf(store), rowsAsArray: true, typeCast: false })
      onTestFinished(() => pool.end())
      const connection = await pool.getConnection()
      await holds(inTransaction(connection))
      connection.release()
    })

    it('is checked each time, because USE changes its database, with one statement beside those that store', async () => {
      const app = await start()
      const other = await openOther(store)
      const own = new URL(dsnOf(store)).pathname.slice(1)
      const elsewhere = other.name
      const connection = await createPromiseConnection(dsnOf(store))
      onTestFinished(() => connection.end())
      const kysely = new Kysely<unknown>({
        dialect: new MysqlDialect({ pool: createPool({ uri: dsnOf(store), connectionLimit: 1 }) }),
      })
      onTestFinished(() => kysely.destroy())
      const ways: [Transaction, (text: string) => Promise<unknown>][] = [
        [inTransaction(connection), (text) => connection.query(text)],
        [(fn) => kysely.transaction().execute(fn), (text) => kysely.executeQuery(CompiledQuery.raw(text))],
      ]
      const stored: number[] = []
      for (const [transaction, use] of ways) {
        const enqueue = (): Promise<number> => transaction((trx) => app.enqueue('job', { trx }))
        stored.push(await enqueue())
        await use(`USE ${elsewhere}`)
        for (let again = 0; again < 2; again++)
          expect(await rejected(enqueue())).toMatchObject({
            code: 'USAGE',
            message: expect.stringContaining('of a database other than') as string,
          })
        await use(`USE ${own}`)
        stored.push(await enqueue())
      }
      expect(await other.database.sql.query('SELECT * FROM piko_run')).toEqual([])
      expect((await app.runs.list()).map(({ id }) => id).toSorted()).toEqual(stored.toSorted())

      await connection.beginTransaction()
      const query = vi.spyOn(connection, 'query')
      await app.enqueue('job', { trx: connection })
      expect(query).toHaveBeenCalledTimes(2)
      await connection.commit()
      expect(await rejected(app.enqueue('job', { trx: connection }))).toMatchObject({
        message: expect.stringContaining('without an open transaction') as string,
      })
    })

    it('finds a run stored by another transaction after this one began to read', async () => {
      const app = await start()
      const connection = await createPromiseConnection(dsnOf(store))
      onTestFinished(() => connection.end())
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ')
      await connection.query('SET SESSION lock_wait_timeout = 60 /*M!110602 , innodb_snapshot_isolation = OFF */')
      await connection.beginTransaction()
      await connection.query('SELECT COUNT(*) FROM piko_run')
      const id = await app.enqueue('job', { idempotencyKey: 'once', input: 1 })
      expect(await app.enqueue('job', { idempotencyKey: 'once', input: 1, trx: connection })).toBe(id)
      await connection.commit()
      expect(await app.runs.list()).toHaveLength(1)
    })

    it('is refused if its answers can not be read, and the error names the option', async () => {
      const app = await start()
      const doubles: ConnectionOptions['typeCast'] = (field, next) =>
        field.type === 'LONGLONG' ? 2 * Number(field.string()) : next()
      for (const typeCast of [doubles, ...['one', undefined, {}, -1, 1.5].map((value) => () => value)]) {
        const transaction = kyselyOn(store, { typeCast })
        for (const options of [{}, { idempotencyKey: 'once' }]) {
          // It is refused before it writes anything, so the transaction may continue.
          const error = await transaction((trx) => rejected(app.enqueue('job', { ...options, trx })))
          expect(error).toMatchObject({
            code: 'USAGE',
            message: expect.stringMatching(/typeCast.*mysql2\/promise/) as string,
          })
        }
      }
      expect(await app.runs.list()).toEqual([])
      const connection = await mysql2(store, { queryFormat: (text: string) => `${text} ` })
      expect(await rejected(connection((trx) => app.enqueue('job', { trx })))).toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('queryFormat') as string,
      })
      expect(await app.runs.list()).toEqual([])
    })

    it('is refused if it is for callbacks, and the error says how to pass it', async () => {
      const app = await start()
      const connection = createConnection(dsnOf(store))
      const pool = createPool(dsnOf(store))
      onTestFinished(() => new Promise((resolve) => pool.end(() => connection.end(() => resolve()))))
      const pooled = await new Promise((resolve, reject) =>
        pool.getConnection((error, one) => (error ? reject(error) : resolve(one))),
      )
      for (const trx of [connection, pooled] as EnqueueTransaction[]) {
        expect(await rejected(app.enqueue('job', { trx }))).toMatchObject({
          code: 'USAGE',
          message: expect.stringContaining('.promise()') as string,
        })
      }
      await holds(inTransaction(connection.promise()))
    })
  })
})

/** A statement of the caller, which gets an id of another table. */
async function beside(trx: EnqueueTransaction): Promise<void> {
  const text = 'INSERT INTO own (note) VALUES (1)'
  if ('exec' in trx) await trx.exec(text)
  else if ('executeQuery' in trx) await trx.executeQuery(CompiledQuery.raw(text))
  else await trx.execute(text, [])
}

async function createOther(
  name: TestStore['name'],
): Promise<{ options: OpenOptions; dsn?: string; remove: () => unknown }> {
  if (name === 'sqlite') {
    const { path, remove } = createSqliteFile()
    return { options: { sqlitePath: path }, remove }
  }
  const { options, dsn, drop } = await createMysqlDatabase()
  return { options: { mysql: options }, dsn, remove: drop }
}

/** Another database of the same kind, with transactions of three libraries on it. */
async function openOther(store: TestStore, { isMigrated = true } = {}) {
  const { options, dsn, remove } = await createOther(store.name)
  const database = await openDatabase(options)
  onTestFinished(async () => {
    await database.close()
    await remove()
  })
  if (isMigrated) await migrate(database, { direction: 'up' })
  const transactions: Transaction[] = [(fn) => database.sql.transaction(fn), kyselyIn(dialectOf(options, dsn))]
  if (dsn !== undefined) {
    const connection = await createPromiseConnection(dsn)
    onTestFinished(() => connection.end())
    transactions.push(inTransaction(connection))
  }
  return { database, transactions, name: options.mysql?.database ?? '' }
}

const dsnOf = (store: TestStore): string => (storeSettings(store.options).mysql as { dsn: string }).dsn

function kyselyOn(store: TestStore, options: ConnectionOptions = {}, plugins: KyselyPlugin[] = []): Transaction {
  return kyselyIn(dialectOf(store.options, store.name === 'mysql' ? dsnOf(store) : undefined, options), plugins)
}

const dialectOf = ({ sqlitePath }: OpenOptions, dsn: string | undefined, options: ConnectionOptions = {}): Dialect =>
  dsn === undefined
    ? new NodeSqliteDialect(sqlitePath!)
    : new MysqlDialect({ pool: createPool({ uri: dsn, ...options }) })

function kyselyIn(dialect: Dialect, plugins: KyselyPlugin[] = []): Transaction {
  const kysely = new Kysely<unknown>({ dialect, plugins })
  onTestFinished(() => kysely.destroy())
  return (fn) => kysely.transaction().execute(fn)
}

async function mysql2(store: TestStore, options: ConnectionOptions = {}, session?: string): Promise<Transaction> {
  const connection = await createPromiseConnection({ uri: dsnOf(store), ...options })
  onTestFinished(() => connection.end())
  if (session !== undefined) await connection.query(session)
  return inTransaction(connection)
}

interface Connection {
  beginTransaction(): Promise<void>
  commit(): Promise<void>
  rollback(): Promise<void>
}

function inTransaction(connection: Connection): Transaction {
  return async (fn) => {
    await connection.beginTransaction()
    try {
      const value = await fn(connection as unknown as EnqueueTransaction)
      await connection.commit()
      return value
    } catch (error) {
      await connection.rollback()
      throw error
    }
  }
}
