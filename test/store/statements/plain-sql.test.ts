import { runInNewContext } from 'node:vm'
import { CompiledQuery } from 'kysely'
import { beforeAll, describe, expect, it } from 'vitest'
import type { SqlDatabase, SqlExecutor, SqlRow, SqlValue } from '../../../src/sql/sql.ts'
import { inspectSql } from '../../../src/store/statements/sql-rules.ts'
import { describeEachStore, describeMysql } from '../../support/databases.ts'

const MANY = 'it has more than one statement'
const CONTROL = 'is not allowed'
const COMMITS = 'would commit the transaction on MySQL'
const SESSION = 'would outlast this statement'

/** Statements that are always refused, and a part of the reason. */
const REFUSED: readonly (readonly [text: string, reason: string])[] = [
  ['INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES (2)', MANY],
  [`INSERT INTO t (w) VALUES (';'); DELETE FROM t`, MANY],
  ['INSERT INTO t (a) VALUES (1);\n-- and\nDELETE FROM t;', MANY],
  ['INSERT INTO t (a) VALUES (1);;/* ; */;x', MANY],
  ['', 'it has no statement'],
  [' -- nothing\n/* at all */;', 'it has no statement'],
  ['BEGIN', CONTROL],
  ['begin immediate', CONTROL],
  ['START TRANSACTION READ ONLY', CONTROL],
  ['/* a */ COMMIT', CONTROL],
  ['commit;', CONTROL],
  ['END TRANSACTION', CONTROL],
  ['ROLLBACK', CONTROL],
  ['Rollback Work', CONTROL],
  ["XA START 'a'", CONTROL],
  ['USE other', SESSION],
  ['LOCK TABLES t WRITE', SESSION],
  ['UNLOCK TABLES', SESSION],
  ['SET autocommit = 0', SESSION],
  ['SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE', SESSION],
  ['SET @a = 1, @@sql_mode = 0', SESSION],
  ['SET NAMES latin1', SESSION],
  ["PREPARE s FROM 'COMMIT'", SESSION],
  ["EXECUTE IMMEDIATE 'COMMIT'", SESSION],
  ['PRAGMA foreign_keys = OFF', SESSION],
  ['PRAGMA main.journal_mode(delete)', SESSION],
  ["ATTACH DATABASE ':memory:' AS other", SESSION],
  ['DETACH other', SESSION],
  ['HANDLER t OPEN', SESSION],
  ['FLUSH TABLES WITH READ LOCK', SESSION],
  ['BACKUP LOCK t', SESSION],
  ["SELECT GET_LOCK('a', 0)", 'GET_LOCK would outlast'],
  ["SET @a = get_lock /* a */ ('a', 0)", 'GET_LOCK would outlast'],
  ["SELECT `Get_Lock` ('a', 0)", 'GET_LOCK would outlast'],
  ['SET STATEMENT max_statement_time = 1 FOR COMMIT', CONTROL],
  ['SET STATEMENT max_statement_time = 1, sort_buffer_size = 2048 FOR SET autocommit = 0', SESSION],
  ["SELECT 'a\0b'", 'a NUL character'],
  ['DELETE FROM t\0 WHERE a = 1', 'a NUL character'],
  ['SELECT a FROM t WHERE a IN ()', 'IN () has no values'],
  ['SELECT a FROM t WHERE a = ??', 'the placeholder ??'],
  ['SELECT a FROM t WHERE a = ?1', 'the placeholder ?1'],
  ['SELECT a FROM t WHERE a = :a', 'the placeholder :a'],
]

const REFUSED_INSIDE: readonly (readonly [text: string, reason: string])[] = [
  ['CREATE TABLE made (a INTEGER)', COMMITS],
  ['DROP TABLE t', COMMITS],
  ['ALTER TABLE t ADD COLUMN z INTEGER', COMMITS],
  ['TRUNCATE TABLE t', COMMITS],
  ['CREATE INDEX i ON t (a)', COMMITS],
  ['SET STATEMENT max_statement_time = 1 FOR CREATE TABLE made (a INTEGER)', COMMITS],
  ['CHECK TABLE t', COMMITS],
  ['LOAD INDEX INTO CACHE t', COMMITS],
  ['STOP SLAVE', COMMITS],
]

const VALUES: readonly (readonly [name: string, value: unknown, back: unknown])[] = [
  ['a text with blanks at its ends', ' a ', ' a '],
  ['quotes, backslashes and placeholders', `'"\\?;--`, `'"\\?;--`],
  ['characters beyond the basic plane', '😀é', '😀é'],
  ['a lone surrogate', 'a\ud800', 'a\ufffd'],
  ['a part of a larger buffer', Buffer.from('abcd').subarray(1, 3), Buffer.from('bc')],
  ['bytes of another realm', runInNewContext('new Uint8Array([1, 2])'), Buffer.from([1, 2])],
  ['no bytes', new Uint8Array(0), Buffer.alloc(0)],
  ['a NUL character', 'a\0b', 'a\0b'],
]

const NUMBERS: readonly (readonly [value: number | bigint | boolean | null, back: unknown])[] = [
  [0, 0],
  [-1, -1],
  [true, 1],
  [false, 0],
  [null, null],
  [2 ** 53 - 1, 2 ** 53 - 1],
  [2n ** 53n - 1n, 2 ** 53 - 1],
  [-(2n ** 53n) - 1n, '-9007199254740993'],
  [2n ** 53n + 1n, '9007199254740993'],
  [2n ** 63n - 1n, '9223372036854775807'],
  [-(2n ** 63n), '-9223372036854775808'],
  [2 ** 62, '4611686018427387904'],
]

/** Numbers that are no integers of 64 bits. */
const DOUBLES = [2 ** 63, -(2 ** 64), 1e19, 1e20, 1e21, 6.022e23, -1.5e300]

/** The texts as a text column returns them. */
const PLAIN_NUMBERS: readonly (readonly [value: number | bigint | boolean, back: string])[] = [
  [5, '5'],
  [-0, '0'],
  [true, '1'],
  [2 ** 53, '9007199254740992'],
  [-(2 ** 60), '-1152921504606846976'],
]

const REFUSED_VALUES: readonly (readonly [name: string, value: unknown])[] = [
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
  ['an integer of more than 64 bits', 2n ** 63n],
  ['an invalid date', new Date(NaN)],
  ['a date after the year 9999', new Date(Date.UTC(10_000, 0, 1))],
  ['undefined', undefined],
  ['an object', { a: 1 }],
  ['an object with toSqlString', { toSqlString: () => '1; DROP TABLE t' }],
  ['a list', [1, 2]],
  ['a boxed text', new String('a')],
  ['an object that inherits from Date', Object.create(Date.prototype)],
  ['a proxy of a Date', new Proxy(new Date(0), {})],
  ['a proxy of bytes', new Proxy(new Uint8Array(1), {})],
  ['bytes of another width', new Uint16Array(1)],
  ['a symbol', Symbol('a')],
  ['a function', () => 1],
]

describeEachStore((store) => {
  let sql: SqlDatabase
  beforeAll(async () => {
    ;({ sql } = await store.open())
    await sql.exec('CREATE TABLE t (a BIGINT, w TEXT)')
    await sql.exec('CREATE TABLE doubles (d DOUBLE)')
    await sql.exec('CREATE TABLE bytes (w BLOB)')
  })

  it.each(DOUBLES)('keeps %d as a number, in a column and in a result', async (value) => {
    await sql.exec('DELETE FROM doubles')
    await sql.exec('INSERT INTO doubles VALUES (?)', [value])
    expect(await sql.query('SELECT d, ? AS given FROM doubles WHERE d = ?', [value, value])).toEqual([
      { d: value, given: value },
    ])
  })

  it('refuses a transaction without a function', async () => {
    await expect(sql.transaction({ timeout: '1s' } as never)).rejects.toMatchObject({
      code: 'USAGE',
      message: 'sql.transaction: fn is {"timeout":"1s"}; expected a function',
    })
  })

  const rows = (): Promise<SqlRow[]> => sql.query('SELECT a FROM t')
  const ways = {
    'sql.exec': (text: string, params?: readonly SqlValue[]) => sql.exec(text, params),
    'sql.query': (text: string, params?: readonly SqlValue[]) => sql.query(text, params),
    'trx.exec': (text: string, params?: readonly SqlValue[]) => sql.transaction((trx) => trx.exec(text, params)),
    'trx.query': (text: string, params?: readonly SqlValue[]) => sql.transaction((trx) => trx.query(text, params)),
  } as const

  it.each(REFUSED)('refuses %j before it executes any of it, everywhere', async (text, reason) => {
    for (const way of Object.values(ways)) {
      await expect(way(text)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(reason) as unknown,
      })
    }
    expect(await rows()).toEqual([])
  })

  it.each([...REFUSED, ...REFUSED_INSIDE])('rolls back a transaction after %j', async (text, reason) => {
    const work = sql.transaction(async (trx) => {
      await trx.exec('INSERT INTO t (a) VALUES (1)')
      await trx.exec(text)
    })
    await expect(work).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringContaining(reason) as unknown,
    })
    expect(await rows()).toEqual([])
  })

  it('continues a transaction after its refused statement was caught', async () => {
    await sql.transaction(async (trx) => {
      await trx.exec('INSERT INTO t (a) VALUES (1)')
      await trx.exec('ROLLBACK').catch(() => {})
    })
    expect(await rows()).toEqual([{ a: 1 }])
    await sql.exec('DELETE FROM t')
  })

  it.each(['SELECT 1 AS a;', ';SELECT 1 AS a', 'SELECT 1 AS a;; ; -- done', '/* ; */ SELECT 1 AS a; /* ; */'])(
    'accepts %j as one statement',
    async (text) => {
      expect(await sql.query(text)).toEqual([{ a: 1 }])
      expect(await sql.transaction((trx) => trx.query(text))).toEqual([{ a: 1 }])
    },
  )

  it('ignores text that only looks like a placeholder or a semicolon', async () => {
    const text = `SELECT '?;' AS a, 'it''s; ?' AS b, ? AS c -- ; ?\n/* ; ? */`
    expect(await sql.query(text, ['x'])).toEqual([{ a: '?;', b: "it's; ?", c: 'x' }])
  })

  it('counts the rows of a statement that also returns them', async () => {
    await sql.exec('DELETE FROM t')
    const insert = 'INSERT INTO t (a) VALUES (1), (2), (3)'
    expect(await sql.exec(`${insert} RETURNING a`)).toEqual({ changes: 3 })
    expect(await sql.transaction((trx) => trx.exec('DELETE FROM t WHERE a > ? RETURNING a', [1]))).toEqual({
      changes: 2,
    })
    expect(await sql.exec('DELETE FROM t WHERE a > 1 RETURNING a')).toEqual({ changes: 0 })
    expect(await sql.exec('DELETE FROM t')).toEqual({ changes: 1 })
  })

  it('accepts savepoints inside a transaction, and refuses them outside', async () => {
    await sql.transaction(async (trx) => {
      await trx.exec('INSERT INTO t (a) VALUES (1)')
      await trx.exec('SAVEPOINT before_second')
      await trx.exec('INSERT INTO t (a) VALUES (2)')
      await trx.exec('ROLLBACK TO SAVEPOINT before_second')
      await trx.exec('RELEASE SAVEPOINT before_second')
    })
    expect(await rows()).toEqual([{ a: 1 }])
    await sql.exec('DELETE FROM t')
    for (const text of ['SAVEPOINT a', 'ROLLBACK TO a', 'RELEASE SAVEPOINT a'])
      await expect(sql.exec(text)).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('accepts temporary tables inside a transaction, and refuses them outside', async () => {
    const made = await sql.transaction(async (trx) => {
      await trx.exec('CREATE TEMPORARY TABLE short (a BIGINT)')
      await trx.exec('INSERT INTO short VALUES (1)')
      const found = await trx.query('SELECT a FROM short')
      await trx.exec(store.name === 'mysql' ? 'DROP TEMPORARY TABLE short' : 'DELETE FROM short')
      return found
    })
    expect(made).toEqual([{ a: 1 }])
    for (const text of ['CREATE TEMPORARY TABLE lost (a BIGINT)', 'CREATE TEMP VIEW lost AS SELECT 1'])
      await expect(sql.exec(text)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('a temporary table belongs to one connection') as unknown,
      })
  })

  it('accepts a trigger whose body has statements', async () => {
    await sql.exec('CREATE TABLE seen (a BIGINT)')
    const each = store.name === 'mysql' ? 'FOR EACH ROW ' : ''
    await sql.exec(
      `CREATE TRIGGER copy AFTER INSERT ON t ${each}BEGIN INSERT INTO seen VALUES (1); INSERT INTO seen VALUES (2); END;`,
    )
    await sql.exec('INSERT INTO t (a) VALUES (1)')
    expect(await sql.query('SELECT a FROM seen')).toEqual([{ a: 1 }, { a: 2 }])
    await expect(
      sql.exec(`CREATE TRIGGER copy2 AFTER INSERT ON t ${each}BEGIN INSERT INTO seen VALUES (1); END; DELETE FROM t`),
    ).rejects.toThrow()
    expect(await rows()).toEqual([{ a: 1 }])
    await sql.exec('DROP TRIGGER copy')
    await sql.exec('DELETE FROM t')
  })

  it.each([
    ['SELECT ? AS a', [], 'it has 1 placeholder, but got 0 parameters'],
    ['SELECT ? AS a', [1, 2], 'it has 1 placeholder, but got 2 parameters'],
    [`SELECT '?' AS a`, [1], 'it has 0 placeholders, but got 1 parameter'],
  ] as const)('refuses %j with the parameters %j', async (text, params, reason) => {
    for (const way of Object.values(ways))
      await expect(way(text, params)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining(reason) as unknown,
      })
  })

  it.each(VALUES)('keeps %s', async (_name, value, back) => {
    const table = typeof value === 'string' ? 't' : 'bytes'
    await sql.exec(`INSERT INTO ${table} (w) VALUES (?)`, [value as string])
    expect(await sql.query(`SELECT w FROM ${table}`)).toStrictEqual([{ w: back }])
    await sql.exec(`DELETE FROM ${table}`)
  })

  it('stores the instant of a Date whatever its own methods return', async () => {
    const odd = Object.assign(new Date(5), { getTime: () => 7, toISOString: () => 'x', toSqlString: () => '1 + 1' })
    const other = runInNewContext('new Date(5)') as Date
    const [row] = await sql.query('SELECT ? AS odd, ? AS other, ? AS plain', [odd, other, new Date(5)])
    expect([row?.['odd'], row?.['other']]).toEqual([row?.['plain'], row?.['plain']])
  })

  it('reads a placeholder that touches a word as a value of its own', async () => {
    expect(await sql.query('SELECT 5 AS a WHERE 1=?AND 2=?LIMIT?', [1, 2, 1])).toEqual([{ a: 5 }])
    expect(await sql.query('SELECT ?AS a', ['b'])).toEqual([{ a: 'b' }])
    for (const text of ['SELECT x? AS a', 'SELECT b? AS a', 'SELECT 1.? AS a', 'SELECT ?.5 AS a'])
      await expect(sql.query(text, ['41'])).rejects.toThrow()
    for (const text of ['SELECT 1e? AS a', 'SELECT 0x? AS a', 'SELECT 1? AS a'])
      await expect(sql.query(text, [3])).rejects.toThrow()
  })

  it.each(NUMBERS)('stores %s as an integer and returns %j', async (value, back) => {
    await sql.exec('INSERT INTO t (a) VALUES (?)', [value])
    expect(await rows()).toEqual([{ a: back }])
    expect(await sql.transaction((trx) => trx.query('SELECT a FROM t'))).toEqual([{ a: back }])
    await sql.exec('DELETE FROM t')
  })

  it.each(PLAIN_NUMBERS)('keeps the digits of %s', async (value, back) => {
    await sql.exec('INSERT INTO t (a, w) VALUES (?, ?)', [value, value])
    expect(await sql.query('SELECT w FROM t')).toEqual([{ w: back }])
    expect(await rows()).toEqual([{ a: Number.isSafeInteger(Number(back)) ? Number(back) : back }])
    await sql.exec('DELETE FROM t')
  })

  it.each(REFUSED_VALUES)('refuses to bind %s', async (_name, value) => {
    for (const way of Object.values(ways))
      await expect(way('INSERT INTO t (a) VALUES (?)', [value as SqlValue])).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('SQL parameter 1 is ') as unknown,
      })
    expect(await rows()).toEqual([])
  })

  it('refuses a value that is not a string and parameters that are not a list', async () => {
    await expect(sql.exec(undefined as unknown as string)).rejects.toMatchObject({ code: 'USAGE' })
    await expect(sql.exec('SELECT 1', { a: 1 } as unknown as SqlValue[])).rejects.toMatchObject({ code: 'USAGE' })
    await expect(sql.exec('SELECT ?', [,] as unknown as SqlValue[])).rejects.toMatchObject({ code: 'USAGE' })
  })

  it('executes no part of two statements, even in SQL of Piko such as a migration', async () => {
    const { db } = await store.open()
    const both = CompiledQuery.raw('INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES (2)')
    await expect(db.executeQuery(both)).rejects.toThrow()
    await expect(db.transaction().execute((trx) => trx.executeQuery(both))).rejects.toThrow()
    expect(await rows()).toEqual([])
  })

  it('leaves the connection unchanged for its next user', async () => {
    const on = async (trx: SqlExecutor): Promise<unknown> =>
      (await trx.query('SELECT count(*) AS n FROM piko_lock')).length
    await Promise.allSettled([...REFUSED, ...REFUSED_INSIDE].map(([text]) => sql.transaction((trx) => trx.exec(text))))
    expect(await sql.transaction(on)).toBe(1)
  })
})

describeMysql((store) => {
  let sql: SqlDatabase
  beforeAll(async () => {
    ;({ sql } = await store.open())
    await sql.exec('CREATE TABLE t (a BIGINT)')
  })

  it('reports a procedure that ends the transaction, and executes nothing after it', async () => {
    await sql.exec('CREATE PROCEDURE committing() BEGIN INSERT INTO t VALUES (1); COMMIT; END')
    let second: unknown
    const work = sql.transaction(async (trx) => {
      await trx.exec('CALL committing()').catch(() => {})
      second = await trx.exec('INSERT INTO t VALUES (2)').catch((error: unknown) => error)
    })
    const ended = { code: 'USAGE', message: expect.stringContaining('ended its own transaction') as unknown }
    await expect(work).rejects.toMatchObject(ended)
    expect(second).toMatchObject(ended)
    expect(await sql.query('SELECT a FROM t')).toEqual([{ a: 1 }])
  })

  it('reports a procedure that leaves a transaction open, and does not reuse its connection', async () => {
    await sql.exec('CREATE PROCEDURE opening() BEGIN START TRANSACTION; INSERT INTO t VALUES (3); END')
    await sql.exec('CREATE PROCEDURE switching() BEGIN SET autocommit = 0; END')
    for (const name of ['opening', 'switching'])
      await expect(sql.exec(`CALL ${name}()`)).rejects.toMatchObject({
        code: 'USAGE',
        message: expect.stringContaining('left a transaction open') as unknown,
      })
    await sql.exec('INSERT INTO t VALUES (4)')
    const other = await store.open()
    expect(await other.sql.query('SELECT a FROM t')).toEqual([{ a: 1 }, { a: 4 }])
  })

  it('returns the rows of the first result of a CALL, inside and outside a transaction', async () => {
    await sql.exec('CREATE PROCEDURE reading() BEGIN SELECT 1 AS a; SELECT 2 AS b; END')
    expect(await sql.query('CALL reading()')).toEqual([{ a: 1 }])
    expect(await sql.transaction((trx) => trx.query('CALL reading()'))).toEqual([{ a: 1 }])
  })
})

describe('the reader of SQL', () => {
  const problemOf = (text: string, dialect: 'mysql' | 'sqlite'): string | undefined => inspectSql(text, dialect).problem

  it('follows each database when they read a string differently', () => {
    expect(problemOf(`SELECT 'a\\'; DELETE FROM t -- '`, 'mysql')).toBeUndefined()
    expect(problemOf(`SELECT 'a\\'; DELETE FROM t -- '`, 'sqlite')).toContain(MANY)
    expect(problemOf('SELECT 1 # ; DELETE', 'mysql')).toBeUndefined()
    expect(problemOf('SELECT 1 --; DELETE', 'sqlite')).toBeUndefined()
    expect(problemOf('SELECT 1 --; DELETE', 'mysql')).toContain(MANY)
    expect(problemOf('SELECT [a;b] FROM t', 'sqlite')).toBeUndefined()
    expect(problemOf('/*!50000 COMMIT */', 'mysql')).toContain(CONTROL)
    expect(problemOf('/*M!100100 COMMIT */', 'mysql')).toContain(CONTROL)
  })

  it('lets variables of the user and of the server be set', () => {
    for (const text of ['SET @a = 1', 'SET @a = f(1, 2), @b := 3', 'SET GLOBAL a = 1, b = 2', 'SELECT @@sql_mode'])
      expect(problemOf(text, 'mysql')).toBeUndefined()
  })

  it('reads a long string quickly', () => {
    const { placeholders, problem } = inspectSql(
      `INSERT INTO t VALUES ${"(?, 'a\\\\', ?),\n".repeat(200_000)}(?, 1)`,
      'mysql',
    )
    expect([placeholders, problem]).toEqual([400_001, undefined])
    expect(inspectSql(`SELECT '${"x''".repeat(1_000_000)}'`, 'sqlite').problem).toBeUndefined()
  })
})
