import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { SinkBatch } from '../../src/sink/sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { SqlDatabase } from '../../src/sql/sql.ts'
import { describeEachStore } from '../support/databases.ts'
import { hourOf, sinkScope } from './sink-scope.ts'

const Order = z.object({
  id: z.int(),
  code: z.string().max(20),
  note: z.string().optional(),
  total: z.number().nullable(),
  isPaid: z.boolean().default(false),
  placedAt: z.date(),
  state: z.enum(['open', 'closed']),
  lines: z.array(z.object({ sku: z.string() })),
  raw: z.instanceof(Uint8Array),
  big: z.bigint(),
  small: z.int32(),
  parsed: z.string().transform(Number).pipe(z.number()),
  either: z.union([z.literal('a'), z.string().max(300)]),
})
type Order = z.infer<typeof Order>

const order: Order = {
  ...{ id: 1, code: 'A', total: null, isPaid: true, placedAt: new Date('2026-01-01T00:00:00.123Z'), state: 'open' },
  ...{ lines: [{ sku: 'x' }], raw: new Uint8Array([0, 255]), big: 2n ** 60n, small: 7, parsed: 1.5, either: 'a' },
}

describe('table.ddl()', () => {
  it('derives types, nullability and keys from the model', () => {
    const table = sqlTable({
      ...{ name: 'orders', model: Order, key: ['id', 'code'], fenceColumn: 'fence' },
      types: { total: 'DECIMAL(12,2) NULL' },
    })
    expect(table.ddl()).toEqual([
      `CREATE TABLE IF NOT EXISTS \`orders\` (
  \`window_start\` DATETIME(3) NOT NULL,
  \`fence\` BIGINT NOT NULL,
  \`id\` BIGINT NOT NULL,
  \`code\` VARCHAR(32) NOT NULL,
  \`note\` MEDIUMTEXT NULL,
  \`total\` DECIMAL(12,2) NULL,
  \`isPaid\` BOOLEAN NOT NULL,
  \`placedAt\` DATETIME(3) NOT NULL,
  \`state\` VARCHAR(32) NOT NULL,
  \`lines\` JSON NOT NULL,
  \`raw\` LONGBLOB NOT NULL,
  \`big\` BIGINT NOT NULL,
  \`small\` INT NOT NULL,
  \`parsed\` DOUBLE NOT NULL,
  \`either\` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (\`window_start\`, \`fence\`, \`id\`, \`code\`)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin`,
      expect.stringContaining('CREATE TABLE IF NOT EXISTS `piko_fence`'),
    ])
  })

  it('indexes the window of a table without a key', () => {
    const table = sqlTable({ name: 'main.orders', model: z.object({ id: z.int() }), fenceColumn: 'fence' })
    expect(table.ddl({ dialect: 'sqlite' })).toEqual([
      'CREATE TABLE IF NOT EXISTS "main"."orders" (\n  "window_start" TEXT NOT NULL,\n  "fence" INTEGER NOT NULL,\n  "id" INTEGER NOT NULL\n)',
      'CREATE INDEX IF NOT EXISTS "main"."orders_window" ON "orders" ("window_start", "fence")',
      expect.stringContaining('CREATE TABLE IF NOT EXISTS "main"."piko_fence"'),
    ])
    expect(table.ddl()[0]).toContain('KEY `orders_window` (`window_start`, `fence`)')
  })

  it('refuses columns whose type nothing shows, and names them all', () => {
    const table = sqlTable({
      name: 'orders',
      windowColumn: null,
      model: z.object({ id: z.int(), a: z.any(), b: z.string().transform((text) => text.length) }),
    })
    expect(() => table.ddl()).toThrow(
      "table orders: the SQL type of a, b is unknown; give a zod model that shows it, or types: { a: 'VARCHAR(100)', b: 'VARCHAR(100)' }",
    )
  })

  it('describes the table', () => {
    const { layout } = sqlTable({ name: 'orders', model: Order, key: ['window_start', 'id'], fenceColumn: 'fence' })
    expect(layout).toEqual({
      ...{ name: 'orders', key: ['id'], windowColumn: 'window_start', fenceColumn: 'fence' },
      columns: Object.keys(Order.shape),
    })
  })

  it('names everything wrong with its options at once', () => {
    const wrong = { name: 'orders', model: Order, columns: ['id', 'cod'], key: ['ids'], types: { totl: 'INT' } }
    expect(() => sqlTable(wrong as unknown as Parameters<typeof sqlTable>[0])).toThrow(`table orders has 3 problems:
  key has "ids", which is not a column; did you mean "id"?
  types has "totl", which is not a column; expected some of id, cod, window_start
  columns has "cod", which is not a property of the model; did you mean "code"?`)
    expect(() => sqlTable({ name: 'orders' })).toThrow('table orders: it has no columns; expected columns, or a model')
  })
})

describeEachStore((store) => {
  let sql: SqlDatabase
  const batch = (fence: number): SinkBatch => ({
    ...sinkScope({ sql, fence, window: hourOf(1) }),
    index: 0,
    key: `orders/1/${fence}`,
  })

  beforeAll(async () => {
    sql = (await store.open()).sql
  })

  it('creates a missing table, which then takes every value of the model', async () => {
    const table = sqlTable({ name: 'ddl_order', model: Order, key: ['id'], fenceColumn: 'fence' })
    await expect(table.open({ sql })).rejects.toMatchObject({
      code: 'SINK_TABLE_INVALID',
      message: `table ddl_order: the table does not exist. Execute:\n${table.ddl({ dialect: sql.dialect }).join(';\n')};`,
    })
    await expect(table.replace(batch(1), [order])).rejects.toMatchObject({
      code: 'SINK_TABLE_INVALID',
      details: { table: 'ddl_order', missing: expect.arrayContaining(['window_start', 'id']) as unknown },
    })
    await table.open({ sql }, { create: true })
    await table.open({ sql }, { create: true })
    await table.replace(batch(1), [order, { ...order, id: 2, note: 'tab\t, quote " and 😀' }])
    const rows = await sql.query('SELECT id, note, placedAt, isPaid, big, raw FROM ddl_order ORDER BY id')
    expect(rows).toEqual([
      expect.objectContaining({ id: 1, note: null, isPaid: 1, big: '1152921504606846976' }),
      expect.objectContaining({ id: 2, note: 'tab\t, quote " and 😀' }),
    ])
    expect(new Date(rows[0]?.['placedAt'] as string)).toEqual(order.placedAt)
    expect([...(rows[0]?.['raw'] as Uint8Array)]).toEqual([0, 255])
  })

  it('adds a column while both versions of the code are running', async () => {
    const V1 = z.object({ id: z.int(), total: z.number() })
    const V2 = V1.extend({ currency: z.string().max(3), lines: z.array(z.string()) })
    const options = { name: 'ddl_growing', key: ['id'], fenceColumn: 'fence' } as const
    const [v1, v2] = [sqlTable({ ...options, model: V1 }), sqlTable({ ...options, model: V2 })]
    await v1.open({ sql }, { create: true })
    await v1.replace(batch(1), [{ id: 1, total: 1 }])
    const alter = v2.ddl({ dialect: sql.dialect, from: v1 })
    await expect(v2.open({ sql }, { create: true })).rejects.toMatchObject({
      code: 'SINK_TABLE_INVALID',
      message:
        'table ddl_growing: the table has no column currency, lines; it has window_start, fence, id, total. ' +
        `Execute:\n${alter.map((statement) => `${statement};`).join('\n')}`,
    })
    await expect(v2.merge(batch(2), [{ id: 2, total: 2, currency: 'EUR', lines: [] }])).rejects.toMatchObject({
      code: 'SINK_TABLE_INVALID',
      details: { missing: ['currency', 'lines'] },
    })
    for (const statement of alter) await sql.exec(statement)
    await v2.open({ sql })
    await v2.merge(batch(1), [{ id: 2, total: 2, currency: 'EUR', lines: [] }])
    await v1.merge(batch(1), [{ id: 3, total: 3 }])
    const rows = await sql.query<{ id: number; currency: string | null }>(
      'SELECT id, currency FROM ddl_growing ORDER BY id',
    )
    expect(rows.map(({ id, currency }) => [id, currency])).toEqual([
      [1, null],
      [2, 'EUR'],
      [3, null],
    ])
    expect(v2.ddl({ dialect: sql.dialect, from: v2 })).toEqual([])
    expect(() => v2.ddl({ from: ['id', 'total'] })).toThrow(
      "can't be added to a table that has rows, but it lacks window_start, fence",
    )
  })

  it('refuses a table whose key has no unique index, until the shown statement has added it', async () => {
    const model = z.object({ id: z.int(), total: z.number() })
    const text = sql.dialect === 'mysql' ? 'DATETIME(3)' : 'TEXT'
    await sql.exec(
      `CREATE TABLE ddl_keyless (window_start ${text} NOT NULL, fence BIGINT NOT NULL, id BIGINT NOT NULL, total DOUBLE)`,
    )
    // Neither an index that is not unique, nor one over other columns helps.
    await sql.exec('CREATE INDEX ddl_plain ON ddl_keyless (window_start, fence, id)')
    await sql.exec('CREATE UNIQUE INDEX ddl_other ON ddl_keyless (window_start, fence, id, total)')
    const table = sqlTable({ name: 'ddl_keyless', model, key: ['id'], fenceColumn: 'fence' })
    const keyless = sqlTable({ name: 'ddl_keyless', model, fenceColumn: 'fence' })
    const statement = async (refused: Promise<unknown>): Promise<string> => {
      const error: unknown = await refused.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        code: 'SINK_TABLE_INVALID',
        message: expect.stringContaining('no unique index') as unknown,
      })
      return (error as Error).message.split('Execute:\n')[1]!.replace(';', '')
    }
    await keyless.open({ sql })
    const opened = await statement(table.open({ sql }))
    expect(await statement(table.merge(batch(1), [{ id: 1, total: 1 }]))).toBe(opened)
    expect(await sql.query('SELECT COUNT(*) AS n FROM ddl_keyless')).toEqual([{ n: 0 }])
    await sql.exec(opened)
    await table.open({ sql })
    for (const total of [1, 2]) await table.merge(batch(1), [{ id: 1, total }])
    expect(await sql.query('SELECT total FROM ddl_keyless')).toEqual([{ total: 2 }])

    const latest = sqlTable({ name: 'ddl_keyless', model, key: ['id'], windowColumn: null, fenceColumn: 'fence' })
    await sql.exec(
      await statement(latest.upsert(batch(1), [{ id: 1, total: 1 }])).then((text) => text.replace('_key', '_id')),
    )
    await latest.open({ sql })
  })
})

it('columns that can not be read are refused by name', () => {
  const ownKeys = (): never => {
    throw new Error('trap')
  }
  const refused: readonly unknown[] = [new Proxy({}, { ownKeys }), [{}]]
  for (const columns of refused)
    expect(() => sqlTable<Record<string, unknown>>({ name: 'orders', columns: columns as string[] })).toThrow(
      /columns is /,
    )
})
