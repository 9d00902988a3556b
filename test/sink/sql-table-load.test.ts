import fc from 'fast-check'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import type { SinkBatch } from '../../src/sink/sink.ts'
import { sqlTable, type SqlTable } from '../../src/sink/sql/sql-table.ts'
import type { BulkMode } from '../../src/sink/sql/table-options.ts'
import type { SqlDatabase, SqlExecutor } from '../../src/sql/sql.ts'
import { describeMysql } from '../support/databases.ts'
import { hourOf, sinkScope } from './sink-scope.ts'

const COLUMNS = {
  id: 'INT',
  short: 'VARCHAR(60)',
  long: 'MEDIUMTEXT',
  bytes: 'BLOB',
  whole: 'BIGINT',
  float: 'DOUBLE',
  exact: 'DECIMAL(20,4)',
  at: 'DATETIME(3)',
  day: 'DATE',
  json: 'JSON',
  flag: 'BOOLEAN',
}
type Row = Partial<Record<keyof typeof COLUMNS, unknown>>

const text = fc.oneof(
  fc.string({ maxLength: 50 }),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    '',
    '\\N',
    'NULL',
    '\\',
    '\t',
    '\n',
    '\r\n',
    '\0',
    '"',
    "'",
    'a\\',
    '😀',
    '\u{1F468}\u200D\u{1F469}',
    ' x ',
    '\x1a',
  ),
)
const maybe = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(values, { freq: 6 })
const row: fc.Arbitrary<Row> = fc.record({
  short: maybe(text),
  long: maybe(text),
  bytes: maybe(fc.oneof(fc.uint8Array({ maxLength: 40 }), text)),
  whole: maybe(
    fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger(), fc.constantFrom(-0, 2 ** 60)),
  ),
  float: maybe(fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e300, max: 1e300 })),
  exact: maybe(
    fc.oneof(
      fc.integer().map((cents) => cents / 100),
      fc.integer().map((cents) => (cents / 10_000).toFixed(4)),
    ),
  ),
  at: maybe(fc.date({ min: new Date('1000-01-01'), max: new Date('9999-12-31T23:59:59.999Z'), noInvalidDate: true })),
  day: maybe(fc.constantFrom('2026-02-28', '1999-12-31')),
  json: maybe(fc.oneof(fc.dictionary(text, fc.oneof(text, fc.integer())), fc.array(text, { maxLength: 3 }))),
  flag: maybe(fc.boolean()),
})

describeMysql((store) => {
  let sql: SqlDatabase
  const tableOf = (bulk: BulkMode): SqlTable<Row> =>
    sqlTable<Row>({ name: `load_${bulk}`, columns: Object.keys(COLUMNS) as (keyof Row)[], fenceColumn: 'fence', bulk })
  const tables = { insert: tableOf('insert'), load: tableOf('load'), auto: tableOf('auto') }
  const batch = (fence = 10, index = 0): SinkBatch => ({
    ...sinkScope({ sql, fence, window: hourOf(1) }),
    ...{ index, key: `orders/1/${index}` },
  })
  const stored = async (name: string): Promise<unknown[]> => {
    const columns = ['window_start', 'fence', ...Object.keys(COLUMNS)]
    const shown = columns.map((column) => `HEX(CAST(\`${column}\` AS BINARY)) AS \`${column}\``)
    return sql.query(`SELECT ${shown.join(', ')} FROM ${name} ORDER BY id`)
  }
  /** The first words of the statements of a database. */
  const watched = (): { readonly on: SqlDatabase; readonly words: string[] } => {
    const words: string[] = []
    const noted = (executor: SqlExecutor): SqlExecutor => ({
      ...executor,
      exec: (statement, params) => (words.push(statement.slice(0, 6)), executor.exec(statement, params)),
      load: (statement, data) => (words.push('LOAD'), executor.load?.(statement, data) ?? Promise.reject(new Error())),
    })
    return { words, on: { ...sql, transaction: (fn) => sql.transaction((trx) => fn(noted(trx))) } }
  }

  beforeAll(async () => {
    sql = (await store.open()).sql
    const columns = Object.entries(COLUMNS).map(([name, type]) => `\`${name}\` ${type}`)
    for (const name of Object.keys(tables)) {
      await sql.exec(
        `CREATE TABLE load_${name} (window_start DATETIME(3) NOT NULL, fence BIGINT NOT NULL, ${columns.join(', ')},
          UNIQUE KEY id (window_start, fence, id)) DEFAULT CHARSET utf8mb4`,
      )
    }
  })
  beforeEach(async () => {
    for (const name of Object.keys(tables)) await sql.exec(`DELETE FROM load_${name}`)
    await sql.exec('DELETE FROM piko_fence')
  })

  it('stores by LOAD DATA exactly what INSERTs store', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 60 }), fc.nat(100), async (given, fence) => {
        const rows = given.map((one, id) => ({ ...one, id }))
        await tables.insert.replace(batch(1_000 + fence), rows)
        await tables.load.replace(batch(1_000 + fence), rows)
        expect(await stored('load_load')).toEqual(await stored('load_insert'))
        for (const name of ['load_insert', 'load_load', 'piko_fence']) await sql.exec(`DELETE FROM ${name}`)
      }),
      { numRuns: 25 },
    )
  })

  it.each<[string, Row, RegExp]>([
    ['a text that is too long', { short: 'x'.repeat(61) }, /too long|truncated/i],
    ['a number out of range', { whole: '9223372036854775808' }, /range/i],
    ['an impossible day', { day: '2026-02-30' }, /incorrect|truncated/i],
    ['broken JSON', { json: '{' }, /json|constraint/i],
    ['a text for a number', { whole: 'x' }, /incorrect/i],
    ['a row twice', { id: 7 }, /duplicate/i],
  ])('refuses %s, as INSERTs do, and stores nothing', async (_what, wrong, message) => {
    const rows = Array.from({ length: 120 }, (_, id): Row => ({ id, short: 'ok' }))
    const given = [...rows, { id: 500, ...wrong }]
    await expect(tables.load.replace(batch(), given)).rejects.toThrow(message)
    const { on, words } = watched()
    await expect(tables.auto.replace(batch(), given, { on })).rejects.toThrow(message)
    expect(words).toContain('LOAD')
    expect([...(await stored('load_load')), ...(await stored('load_auto'))]).toEqual([])
  })

  it('inserts what only the server can write as text, and few rows', async () => {
    const many = Array.from({ length: 150 }, (_, id): Row => ({ id, short: 1e-7 }))
    const { on, words } = watched()
    await tables.auto.replace(batch(), many, { on })
    await tables.auto.replace(batch(10, 1), [{ id: 900 }], { on })
    expect(words).not.toContain('LOAD')
    await expect(tables.load.replace(batch(), many)).rejects.toThrow('a value has another type than its column')
  })

  it('keeps the fence of replace', async () => {
    const rows = Array.from({ length: 200 }, (_, id): Row => ({ id, short: 'new' }))
    await tables.auto.replace(batch(20), rows)
    const { on, words } = watched()
    await expect(tables.auto.replace(batch(19, 1), rows, { on })).rejects.toThrow('with fence 19 is stale')
    await tables.auto.replace(batch(21), rows.slice(0, 150), { on })
    expect(words).toContain('LOAD')
    expect(await sql.query('SELECT fence, COUNT(*) AS n FROM load_auto GROUP BY fence')).toEqual([
      { fence: 21, n: 150 },
    ])
  })

  it('inserts where the server forbids local files', async () => {
    const rows = Array.from({ length: 200 }, (_, id): Row => ({ id }))
    const fresh = { insert: tableOf('insert'), load: tableOf('load'), auto: tableOf('auto') }
    await sql.exec('SET GLOBAL local_infile = 0')
    try {
      await tables.auto.replace(batch(), rows)
      await fresh.auto.replace(batch(11), rows)
      expect(await sql.query('SELECT fence, COUNT(*) AS n FROM load_auto GROUP BY fence')).toEqual([
        { fence: 11, n: 200 },
      ])
      await expect(fresh.load.replace(batch(), rows)).rejects.toThrow(
        'bulk is "load", but the server does not allow it',
      )
    } finally {
      await sql.exec('SET GLOBAL local_infile = 1')
    }
  })
})
