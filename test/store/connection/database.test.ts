import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { type Insertable, sql } from 'kysely'
import { createServer as createMysqlServer } from 'mysql2'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { PikoError } from '../../../src/errors.ts'
import { isContention } from '../../../src/sql/contention.ts'
import type { SqlValue } from '../../../src/sql/sql.ts'
import { type Database, openDatabase, type OpenOptions } from '../../../src/store/connection/database.ts'
import type { Tables } from '../../../src/store/tables.ts'
import { createMysqlDatabase, createSqliteFile, describeEachStore } from '../../support/databases.ts'

const AT = new Date('2026-03-29T01:59:59.987Z')

/** Resolves for all callers once `count` of them have arrived. */
function barrier(count: number): () => Promise<void> {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return () => {
    if (--count <= 0) open()
    return opened
  }
}

async function rejection(promise: Promise<unknown>): Promise<PikoError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (!(error instanceof PikoError)) throw new Error('expected a PikoError', { cause: error })
  return error
}

function nodeRow(database: Database, id: string, startedAt: Date): Insertable<Tables['piko_node']> {
  const at = database.dialect.instant(startedAt)
  return { id, host: 'here', pid: 1, started_at: at, heartbeat_at: at, expires_at: at }
}

describeEachStore((store) => {
  it('keeps the milliseconds of an instant, in UTC', async () => {
    const { db, dialect } = await store.open()
    await db
      .insertInto('piko_node')
      .values(nodeRow(await store.open(), 'instant', AT))
      .execute()
    const row = await db.selectFrom('piko_node').selectAll().where('id', '=', 'instant').executeTakeFirstOrThrow()
    expect(dialect.date(row.started_at)).toEqual(AT)
    const found = db.selectFrom('piko_node').where('started_at', '=', dialect.instant(AT)).select('id')
    expect((await found.execute()).map(({ id }) => id)).toEqual(['instant'])
  })

  it('reads an instant that a person typed into a row as UTC', async () => {
    const { db, dialect, sql: plain } = await store.open()
    await db
      .insertInto('piko_node')
      .values(nodeRow(await store.open(), 'typed', AT))
      .execute()
    await plain.exec(`UPDATE piko_node SET started_at = '2026-01-31 12:00:00' WHERE id = 'typed'`)
    const row = await db.selectFrom('piko_node').selectAll().where('id', '=', 'typed').executeTakeFirstOrThrow()
    expect(dialect.date(row.started_at)).toEqual(new Date('2026-01-31T12:00:00.000Z'))
  })

  it("returns the database's time in milliseconds, and times before and after it", async () => {
    const { db, dialect } = await store.open()
    const { rows } = await sql<Record<'now' | 'later' | 'earlier', Date | string>>`
      SELECT ${dialect.now()} AS now, ${dialect.nowPlus(90_500)} AS later, ${dialect.nowPlus(-250)} AS earlier
    `.execute(db)
    const [row] = rows
    if (!row) throw new Error('no row')
    const now = dialect.date(row.now).getTime()
    expect(Math.abs(now - Date.now())).toBeLessThan(60_000)
    expect(dialect.date(row.later).getTime() - now).toBe(90_500)
    expect(dialect.date(row.earlier).getTime() - now).toBe(-250)
  })

  it('stores its time in the same form as a bound instant', async () => {
    const { db, dialect } = await store.open()
    const values = nodeRow(await store.open(), 'clock', AT)
    await db
      .insertInto('piko_node')
      .values({ ...values, expires_at: dialect.nowPlus(60_000) })
      .execute()
    const due = (ms: number): Promise<unknown[]> =>
      db
        .selectFrom('piko_node')
        .select('id')
        .where('id', '=', 'clock')
        .where('expires_at', '<', dialect.nowPlus(ms))
        .where('expires_at', '<', dialect.instant(new Date(Date.now() + ms)))
        .execute()
    expect(await due(59_000)).toHaveLength(0)
    expect(await due(120_000)).toHaveLength(1)
  })

  it("uses a test clock's time as the database's time", async () => {
    const clock = { now: () => AT.getTime() }
    const { db, dialect } = await store.open({ clock })
    const { rows } = await sql<Record<'now' | 'later', Date | string>>`
      SELECT ${dialect.now()} AS now, ${dialect.nowPlus(1_013)} AS later
    `.execute(db)
    expect(rows.map((row) => [dialect.date(row.now), dialect.date(row.later)])).toEqual([
      [AT, new Date(AT.getTime() + 1_013)],
    ])
  })

  it('refuses to store an invalid date', async () => {
    const { dialect } = await store.open()
    expect(() => dialect.instant(new Date('soon'))).toThrow(RangeError)
    expect(() => dialect.date('soon')).toThrow('a stored instant is "soon"')
  })

  it('commits if the function resolves and rolls back if it rejects', async () => {
    const database = await store.open()
    const insert = (id: string, fail?: Error): Promise<void> =>
      database.transaction(async (trx) => {
        await trx
          .insertInto('piko_node')
          .values(nodeRow(database, id, AT))
          .execute()
        if (fail) throw fail
      })
    await insert('kept')
    await expect(insert('lost', new Error('no'))).rejects.toThrow('no')
    const rows = await database.db.selectFrom('piko_node').select('id').where('id', 'in', ['kept', 'lost']).execute()
    expect(rows.map(({ id }) => id)).toEqual(['kept'])
  })

  it('distinguishes a duplicate key from other errors', async () => {
    const database = await store.open()
    const insert = (): Promise<unknown> =>
      database.db
        .insertInto('piko_node')
        .values(nodeRow(database, 'twice', AT))
        .execute()
    await insert()
    const duplicate: unknown = await insert().catch((error: unknown) => error)
    const other: unknown = await database.sql.query('SELECT nonsense').catch((error: unknown) => error)
    expect([duplicate, other].map((error) => database.dialect.isDuplicate(error))).toEqual([true, false])
    expect([duplicate, other].map(isContention)).toEqual([false, false])
  })

  it('binds every kind of value in plain SQL and returns rows and counts', async () => {
    const { sql: plain, dialect } = await store.open()
    await plain.exec(
      dialect.name === 'mysql'
        ? 'CREATE TABLE plain (id BIGINT PRIMARY KEY, flag TINYINT, at DATETIME(3), raw BLOB, word TEXT)'
        : 'CREATE TABLE plain (id INTEGER PRIMARY KEY, flag INTEGER, at TEXT, raw BLOB, word TEXT)',
    )
    const values = [2n ** 40n, true, AT, new Uint8Array([0, 39, 255]), "it's \\ ?"] satisfies SqlValue[]
    const insert = 'INSERT INTO plain (id, flag, at, raw, word) VALUES (?, ?, ?, ?, ?)'
    expect(await plain.exec(insert, values)).toEqual({ changes: 1 })
    const [row] = await plain.query('SELECT * FROM plain WHERE flag = ?', [true])
    expect(row).toMatchObject({ id: 2 ** 40, flag: 1, word: "it's \\ ?" })
    expect(dialect.date(row?.['at'] as string)).toEqual(AT)
    expect([...(row?.['raw'] as Uint8Array)]).toEqual([0, 39, 255])
    // Matched rows count, even if their value stays the same.
    expect(await plain.exec('UPDATE plain SET flag = ?', [true])).toEqual({ changes: 1 })
  })

  it('rolls back a transaction of plain SQL', async () => {
    const { sql: plain } = await store.open()
    await plain.exec('CREATE TABLE undone (id INTEGER)')
    const failing = plain.transaction(async (trx) => {
      await trx.exec('INSERT INTO undone VALUES (1)')
      expect(await trx.query('SELECT id FROM undone')).toHaveLength(1)
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(await plain.query('SELECT id FROM undone')).toEqual([])
  })

  it.each([
    ['undefined', undefined],
    ['an object', { a: 1 }],
    ['a list', [1, 2]],
  ])('refuses to bind %s', async (_, value) => {
    const { sql: plain } = await store.open()
    await expect(plain.query('SELECT ?', [value as unknown as SqlValue])).rejects.toThrow('SQL parameter 1 is')
  })

  it('refuses several statements in one string', async () => {
    const { sql: plain } = await store.open()
    await plain.exec('CREATE TABLE precious (id INTEGER)')
    await plain.query('SELECT 1; DROP TABLE precious').catch(() => {})
    expect(await plain.query('SELECT id FROM precious')).toEqual([])
  })

  it('can be closed twice, and then refuses work', async () => {
    const database = await openDatabase(store.options)
    await database.close()
    await database.close()
    await expect(database.sql.query('SELECT 1')).rejects.toThrow()
  })
})

describe('on MySQL', () => {
  let mysql: NonNullable<OpenOptions['mysql']>
  let drop: () => Promise<void>

  beforeAll(async () => ({ options: mysql, drop } = await createMysqlDatabase()))
  afterAll(() => drop())

  async function open(options: Partial<typeof mysql> = {}): Promise<Database> {
    const database = await openDatabase({ mysql: { ...mysql, ...options } })
    onTestFinished(() => database.close())
    return database
  }

  const connectionId = async ({ sql: plain }: Database): Promise<unknown> =>
    (await plain.query<{ id: number }>('SELECT CONNECTION_ID() AS id'))[0]?.id

  it('sets every connection of the pool to READ COMMITTED, UTC and strict mode', async () => {
    const database = await open({ poolSize: 10 })
    const allAreBorrowed = barrier(10)
    const sessions = await Promise.all(
      Array.from({ length: 10 }, () =>
        database.transaction(async (trx) => {
          const { rows } = await sql<Record<'id' | 'zone' | 'mode', unknown>>`
            SELECT CONNECTION_ID() AS id, @@time_zone AS zone, @@sql_mode AS mode
          `.execute(trx)
          await allAreBorrowed()
          // The variable's name differs: transaction_isolation on MySQL, tx_isolation on older MariaDB.
          const isolation = await sql<{ Value: string }>`
            SHOW VARIABLES WHERE Variable_name IN ('transaction_isolation', 'tx_isolation')
          `.execute(trx)
          return { ...rows[0], isolation: new Set(isolation.rows.map((row) => row.Value)) }
        }),
      ),
    )
    expect(new Set(sessions.map(({ id }) => id)).size).toBe(10)
    for (const session of sessions) {
      expect(session).toMatchObject({ zone: '+00:00', isolation: new Set(['READ-COMMITTED']) })
      expect(session.mode).toContain('STRICT_TRANS_TABLES')
      expect(session.mode).not.toContain('NO_BACKSLASH_ESCAPES')
    }
  })

  it('sees other commits inside a running transaction', async () => {
    const database = await open()
    await database.sql.exec('CREATE TABLE seen (id INT PRIMARY KEY)')
    const seen = await database.transaction(async (trx) => {
      const count = async (): Promise<number> => (await sql`SELECT id FROM seen`.execute(trx)).rows.length
      const before = await count()
      await database.sql.exec('INSERT INTO seen VALUES (1)')
      return [before, await count()]
    })
    expect(seen).toEqual([0, 1])
  })

  it('replaces a connection that is older than the limit, and keeps a younger one', async () => {
    const young = await open({ poolSize: 1 })
    expect(await connectionId(young)).toBe(await connectionId(young))
    const old = await open({ poolSize: 1, poolRecycleMs: 1 })
    const first = await connectionId(old)
    await sleep(5)
    expect(await connectionId(old)).not.toBe(first)
  })

  it('continues with new connections after the server has cut the old ones', async () => {
    const database = await open({ poolSize: 1 })
    const killer = await open()
    const first = await connectionId(database)
    await killer.sql.exec(`KILL CONNECTION ${String(first)}`)
    await expect.poll(() => connectionId(database).catch(() => first)).not.toBe(first)
  })

  it('runs both transactions of a deadlock to their end', async () => {
    const database = await open()
    await database.sql.exec('CREATE TABLE account (id INT PRIMARY KEY, touched INT NOT NULL)')
    await database.sql.exec('INSERT INTO account VALUES (1, 0), (2, 0)')
    const bothHoldTheirFirst = barrier(2)
    let tries = 0
    const touch = (first: number, second: number): Promise<void> =>
      database.transaction(async (trx) => {
        tries++
        await sql`UPDATE account SET touched = touched + 1 WHERE id = ${first}`.execute(trx)
        await bothHoldTheirFirst()
        await sql`UPDATE account SET touched = touched + 1 WHERE id = ${second}`.execute(trx)
      })
    await Promise.all([touch(1, 2), touch(2, 1)])
    expect(await database.sql.query('SELECT id, touched FROM account ORDER BY id')).toEqual([
      { id: 1, touched: 2 },
      { id: 2, touched: 2 },
    ])
    expect(tries).toBe(3)
  })

  it('retries a transaction after contention for at least ten seconds and eight times', async () => {
    const database = await open()
    // A deadlock, a lock timeout, a row changed since its snapshot; each arrives wrapped.
    const repeat = async (errno: number): Promise<void> => {
      const started = performance.now()
      const contention = Object.assign(new Error('as the server says'), { errno })
      let tries = 0
      const failing = database.transaction(() => {
        tries++
        return Promise.reject(new Error('cannot book', { cause: contention }))
      })
      await expect(failing).rejects.toThrow('cannot book')
      expect(tries).toBeGreaterThanOrEqual(8)
      expect(performance.now() - started).toBeGreaterThanOrEqual(9_500)
    }
    await Promise.all([1213, 1205, 1020].map(repeat))
  })

  it('says immediately where no server listens, without the password', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    const started = performance.now()
    const error = await rejection(openDatabase({ mysql: { ...mysql, host: '127.0.0.1', port, password: 'swordfish' } }))
    expect(performance.now() - started).toBeLessThan(60_000)
    expect(error.code).toBe('DATABASE_UNREACHABLE')
    expect(error.message).toContain(`127.0.0.1:${port}/${mysql.database}`)
    expect(error.message).toContain('ECONNREFUSED')
    expect(`${error.stack} ${JSON.stringify(error)} ${JSON.stringify(error.cause)}`).not.toContain('swordfish')
  })

  it('gives up on a server that accepts a connection and then stays silent', async () => {
    const sockets: Socket[] = []
    const server: Server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1')
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const options = { ...mysql, host: '127.0.0.1', port, connectTimeoutMs: 200 }
    const error = await rejection(openDatabase({ mysql: options }))
    expect(error.code).toBe('DATABASE_UNREACHABLE')
    expect(error.message).toContain('ETIMEDOUT')
  })

  it.each([
    ['a wrong password', { password: 'swordfish' }, /Access denied.*check the DSN's user/],
    ['a missing database', { database: 'piko_nowhere' }, /create it: CREATE DATABASE `piko_nowhere`/],
    ['a host without address', { host: 'nowhere.invalid' }, /check the host name in the DSN/],
  ])('says what to do about %s', async (_, options, message) => {
    const error = await rejection(openDatabase({ mysql: { ...mysql, ...options } }))
    expect(error.code).toBe('DATABASE_UNREACHABLE')
    expect(error.message).toMatch(message)
    expect(error.message).not.toContain('swordfish')
  })

  it('gives up on a server that accepts the login and then does not answer', async () => {
    const port = await fakeServer(() => {})
    const error = await rejection(openDatabase({ mysql: { ...mysql, host: '127.0.0.1', port, connectTimeoutMs: 200 } }))
    expect(error.code).toBe('DATABASE_UNREACHABLE')
  })

  it('refuses a server that is too old', async () => {
    const port = await fakeServer((connection, query) => {
      if (query === 'SET') connection.writeOk()
      else connection.writeTextResult([{ version: '5.6.51-log' }], [VERSION_COLUMN])
    })
    const error = await rejection(openDatabase({ mysql: { ...mysql, host: '127.0.0.1', port } }))
    expect(error.code).toBe('DATABASE_UNSUPPORTED')
    expect(error.message).toContain(
      `127.0.0.1:${port}/${mysql.database} is MySQL 5.6.51-log; expected at least MySQL 5.7`,
    )
  })

  it('lists the valid parameters of a DSN', async () => {
    const error = await rejection(openDatabase({ mysql: { ...mysql, params: { autocommit: 'true' } } }))
    expect(error.code).toBe('SETTINGS_INVALID')
    expect(error.message).toContain('charset, unix_socket, ssl, ssl_ca')
  })
})

describe('on SQLite', () => {
  const file = createSqliteFile()
  afterAll(() => {
    file.remove()
  })

  async function open(path = file.path): Promise<Database> {
    const database = await openDatabase({ sqlitePath: path })
    onTestFinished(() => database.close())
    return database
  }

  it('creates the folder of the file', async () => {
    const database = await open(`${file.path}-folders/a/b/piko.db`)
    expect(await database.sql.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
  })

  it('takes the write lock when a transaction begins', async () => {
    const database = await open()
    await database.transaction(async () => {
      const other = new DatabaseSync(file.path)
      other.exec('PRAGMA busy_timeout = 0')
      expect(() => other.exec('BEGIN IMMEDIATE')).toThrow('database is locked')
      other.close()
      return Promise.resolve()
    })
  })

  it('waits for a write of another process', async () => {
    const database = await open()
    const other = new DatabaseSync(file.path)
    other.exec('BEGIN IMMEDIATE')
    setTimeout(() => {
      other.exec('COMMIT')
      other.close()
    }, 20)
    await database.transaction((trx) => sql`CREATE TABLE waited (id INTEGER)`.execute(trx))
    expect(await database.sql.query('SELECT id FROM waited')).toEqual([])
  })

  it('survives a crash in WAL mode', async () => {
    const database = await open()
    expect(await database.sql.query('PRAGMA journal_mode')).toEqual([{ journal_mode: 'wal' }])
    expect(await database.sql.query('PRAGMA synchronous')).toEqual([{ synchronous: 1 }])
  })

  it('is loaded without the warning that it is experimental, and keeps other warnings', async () => {
    const program = `
      import { openDatabase } from './src/store/connection/database.ts'
      process.emitWarning('before')
      await (await openDatabase({ sqlitePath: ':memory:' })).close()
      process.emitWarning('after')`
    const args = ['--input-type=module', '--eval', program]
    const { stderr } = await promisify(execFile)(process.execPath, args)
    expect(stderr).toMatch(/Warning: before[^]*Warning: after/)
    expect(stderr).not.toContain('ExperimentalWarning')
  })

  it('works with more statements than it keeps prepared', async () => {
    const database = await open()
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 300; n++) expect(await database.sql.query(`SELECT ${n} AS n`)).toEqual([{ n }])
    }
  })

  it('returns a separate object for each row, with the last of two columns of the same name', async () => {
    const database = await open()
    const rows = await database.sql.query(
      "SELECT 1 AS id, value AS same, value * 2 AS same FROM json_each('[1, 2, null]')",
    )
    expect(rows).toEqual([
      { id: 1, same: 2 },
      { id: 1, same: 4 },
      { id: 1, same: null },
    ])
  })

  it('streams rows one by one', async () => {
    const { db } = await open()
    const numbers = sql<{ value: number }>`json_each('[1, 2, 3]')`.as('numbers')
    const seen: number[] = []
    for await (const { value } of db.selectFrom(numbers).select('value').stream()) seen.push(value)
    expect(seen).toEqual([1, 2, 3])
  })

  it('reads the current columns of a cached statement', async () => {
    const database = await open()
    const all = (): Promise<unknown[]> => database.sql.query('SELECT * FROM changing')
    await database.sql.exec('CREATE TABLE changing (one INTEGER)')
    await database.sql.exec('INSERT INTO changing VALUES (1)')
    expect(await all()).toEqual([{ one: 1 }])
    await database.sql.exec('ALTER TABLE changing ADD COLUMN two INTEGER DEFAULT 2')
    expect(await all()).toEqual([{ one: 1, two: 2 }])
    await database.sql.exec('ALTER TABLE changing RENAME COLUMN one TO three')
    expect(await all()).toEqual([{ three: 1, two: 2 }])
  })

  it.each([
    ['SELECT 1 AS a', 1],
    ['-- why\n  select 1 as a', 1],
    ['WITH t (a) AS (SELECT 1) SELECT a FROM t', 1],
    ['VALUES (1), (2)', 2],
    ['PRAGMA user_version', 1],
    ["INSERT INTO told VALUES (7, 'x') RETURNING id", 1],
    ["INSERT INTO told VALUES (8, 'returning')", 0],
    ["WITH t (a) AS (SELECT 9) INSERT INTO told SELECT a, 'x' FROM t", 0],
    ['UPDATE told SET "word" = \'y\' WHERE id = 7', 0],
    ['DELETE FROM told WHERE id IN (SELECT 7)', 0],
  ])('knows whether %j returns rows', async (statement, count) => {
    const database = await open()
    await database.sql.exec('DROP TABLE IF EXISTS told')
    await database.sql.exec('CREATE TABLE told (id INTEGER, word TEXT)')
    await database.sql.exec("INSERT INTO told VALUES (7, 'seven')")
    if (count > 0) expect(await database.sql.query(statement)).toHaveLength(count)
    else expect(await database.sql.exec(statement)).toEqual({ changes: 1 })
  })

  it.each([
    ['a folder that cannot be made', '/dev/null/piko.db'],
    ['a file that is no database', new URL(import.meta.url).pathname],
  ])('explains the problem of %s', async (_, path) => {
    const error = await rejection(openDatabase({ sqlitePath: path }))
    expect(error.code).toBe('DATABASE_UNREACHABLE')
    expect(error.message).toContain(path)
  })
})

/** The server part of mysql2, which has no types. */
interface ServerConnection {
  readonly stream: Socket
  sequenceId: number
  serverHandshake(options: object): void
  writeOk(): void
  writeTextResult(rows: object[], columns: object[]): void
  on(event: 'query' | 'stmt_prepare', listener: () => void): void
  on(event: 'error', listener: (error: Error) => void): void
}

interface MysqlServer {
  readonly _server: Server
  listen(port: number, host: string): void
}

/** A server that accepts every login and answers as the test says. */
async function fakeServer(answer: (connection: ServerConnection, query: 'SET' | 'other') => void): Promise<number> {
  const sockets: Socket[] = []
  const onConnection = (connection: ServerConnection): void => {
    sockets.push(connection.stream)
    const reply = (query: 'SET' | 'other'): void => {
      // Every command numbers its packets from 0, which mysql2's server part does not do by itself.
      connection.sequenceId = 1
      answer(connection, query)
      connection.sequenceId = 0
    }
    connection.on('stmt_prepare', () => {
      reply('SET')
    })
    connection.on('query', () => {
      reply('other')
    })
    connection.on('error', () => {})
    connection.serverHandshake({
      ...{ protocolVersion: 10, serverVersion: '', connectionId: 1, statusFlags: 2, characterSet: 45 },
      capabilityFlags: 0xffffff & ~0x800, // no TLS
      authCallback: (_: unknown, done: (error: null) => void) => {
        done(null)
        connection.sequenceId = 0
      },
    })
  }
  const server = (createMysqlServer as unknown as (listener: typeof onConnection) => MysqlServer)(onConnection)
  server.listen(0, '127.0.0.1')
  await once(server._server, 'listening')
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server._server.close()
  })
  return (server._server.address() as AddressInfo).port
}

const VERSION_COLUMN = {
  ...{ catalog: 'def', schema: '', table: '', orgTable: '', name: 'version', orgName: 'version' },
  ...{ characterSet: 45, columnLength: 255, columnType: 253, flags: 0, decimals: 0 },
}
