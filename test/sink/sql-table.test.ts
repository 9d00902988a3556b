import { beforeAll, beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { BufferedSink } from '../../src/sink/buffered-sink.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import type { SinkBatch, SinkScope } from '../../src/sink/sink.ts'
import type { SqlDatabase, SqlExecutor } from '../../src/sql/sql.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import { describeEachStore } from '../support/databases.ts'
import { hourOf, sinkScope, targetOf } from './sink-scope.ts'
import { lockWait } from '../support/lock-wait.ts'
import { sqliteStatementsDuring } from '../support/sqlite-statements.ts'

class Order {
  readonly id: number
  readonly total: number
  readonly tags: readonly string[] | undefined
  constructor(id: number, total: number, tags?: readonly string[]) {
    this.id = id
    this.total = total
    this.tags = tags
  }
}

const plain = sqlTable<Order>({ name: 'test_order', columns: ['id', 'total', 'tags'], windowColumn: null })
const windowed = sqlTable<Order>({ name: 'test_order_hour', columns: ['id', 'total', 'tags'], chunkSize: 2 })
const fenced = sqlTable<Order>({
  name: 'test_order_fence',
  columns: { id: 'id', total: 'total' },
  fenceColumn: 'fence',
})

const TABLES = [
  'CREATE TABLE test_order (id BIGINT PRIMARY KEY, total BIGINT, tags VARCHAR(200))',
  'CREATE TABLE test_order_hour (window_start DATETIME(3) NOT NULL, id BIGINT NOT NULL, total BIGINT, tags VARCHAR(200), PRIMARY KEY (window_start, id))',
  `CREATE TABLE test_order_fence (window_start DATETIME(3) NOT NULL, fence BIGINT NOT NULL, id BIGINT NOT NULL, total BIGINT,
     PRIMARY KEY (window_start, fence, id))`,
]

describeEachStore((store) => {
  let sql: SqlDatabase

  beforeAll(async () => {
    sql = (await store.open()).sql
    for (const statement of TABLES) await sql.exec(statement)
  })
  beforeEach(async () => {
    for (const table of ['test_order', 'test_order_hour', 'test_order_fence', 'piko_fence'])
      await sql.exec(`DELETE FROM ${table}`)
  })

  const scopeOf = (scope: Partial<SinkScope>): SinkScope => sinkScope({ sql, ...scope })
  const batchOf = (
    hour: number | undefined,
    { index = 0, fence = 10 }: { index?: number; fence?: number } = {},
  ): SinkBatch => {
    const window = hour === undefined ? undefined : hourOf(hour)
    return { ...scopeOf({ window, fence }), index, key: `orders/${String(hour)}/${index}` }
  }
  const rowsOf = async (table: string, columns = 'id, total'): Promise<unknown[][]> => {
    const rows = await sql.query(`SELECT ${columns} FROM ${table} ORDER BY id, total`)
    return rows.map((row) => Object.values(row))
  }

  it('inserts all rows, in the number of statements that the limits require', async () => {
    const orders = Array.from({ length: 2_345 }, (_, index) => new Order(index, index * 2))
    const sent = await sqliteStatementsDuring(() => plain.insert(batchOf(undefined), orders))
    // Each holds the event loop until SQLite has answered.
    if (sql.dialect === 'sqlite') expect(Math.max(...sent.map(({ rows }) => rows))).toBe(250)
    expect(await sql.query('SELECT COUNT(*) AS n, SUM(total) AS total FROM test_order')).toEqual([
      { n: 2_345, total: expect.toSatisfy((total) => Number(total) === 2_345 * 2_344) as unknown },
    ])
  })

  it('stores undefined as NULL and arrays as JSON', async () => {
    await plain.insert(batchOf(undefined), [new Order(1, 5, ['a', 'b']), new Order(2, 6)])
    expect(await rowsOf('test_order', 'id, tags')).toEqual([
      [1, '["a","b"]'],
      [2, null],
    ])
  })

  it('inserts nothing when one chunk of a call fails', async () => {
    await windowed.insert(batchOf(1), [new Order(3, 0)])
    const orders = [1, 2, 3].map((id) => new Order(id, 1))
    await expect(windowed.insert(batchOf(1), orders)).rejects.toThrow(/unique|duplicate/i)
    expect(await rowsOf('test_order_hour')).toEqual([[3, 0]])
  })

  it('upserts by key', async () => {
    await plain.upsert(batchOf(undefined), [new Order(1, 5), new Order(2, 6)], ['id'])
    await plain.upsert(batchOf(undefined), [new Order(2, 60, ['new']), new Order(3, 7)], ['id'])
    expect(await rowsOf('test_order', 'id, total, tags')).toEqual([
      [1, 5, null],
      [2, 60, '["new"]'],
      [3, 7, null],
    ])
  })

  it('upserts rows that consist of their key', async () => {
    const ids = sqlTable<{ id: number }>({ name: 'test_order', columns: ['id'], windowColumn: null })
    await plain.insert(batchOf(undefined), [new Order(1, 5)])
    await ids.upsert(batchOf(undefined), [{ id: 1 }, { id: 2 }], ['id'])
    expect(await rowsOf('test_order')).toEqual([
      [1, 5],
      [2, null],
    ])
    await expect(ids.upsert(batchOf(undefined), [{ id: 1 }], ['total'])).rejects.toThrow(
      'table test_order: upsert got the key columns ["total"]; expected some of id',
    )
    await expect(ids.upsert(batchOf(undefined), [{ id: 1 }], [])).rejects.toThrow('upsert got the key columns []')
  })

  it('does not overwrite a row of a newer fence with an upsert', async () => {
    const table = sqlTable<Order>({
      name: 'test_order_latest',
      columns: ['id', 'total'],
      windowColumn: null,
      fenceColumn: 'fence',
    })
    await sql.exec('CREATE TABLE test_order_latest (id BIGINT PRIMARY KEY, total BIGINT, fence BIGINT NOT NULL)')
    await table.upsert(batchOf(undefined, { fence: 7 }), [new Order(1, 7)], ['id'])
    await table.upsert(batchOf(undefined, { fence: 6 }), [new Order(1, 6), new Order(2, 6)], ['id'])
    await table.upsert(batchOf(undefined, { fence: 9 }), [new Order(2, 9)], ['id'])
    expect(await rowsOf('test_order_latest', 'id, total, fence')).toEqual([
      [1, 7, 7],
      [2, 9, 9],
    ])
  })

  it('replaces the rows of its window with the first batch, adds further batches, and touches no other window', async () => {
    await windowed.replace(batchOf(2), [new Order(20, 1)])
    await windowed.replace(batchOf(1), [new Order(1, 1), new Order(2, 1), new Order(3, 1)])
    await windowed.replace(batchOf(1, { index: 1 }), [new Order(4, 1)])
    expect(await rowsOf('test_order_hour', 'id')).toEqual([[1], [2], [3], [4], [20]])
    await windowed.replace(batchOf(1, { fence: 11 }), [new Order(2, 2)])
    expect(await rowsOf('test_order_hour')).toEqual([
      [2, 2],
      [20, 1],
    ])
    await windowed.clear(batchOf(1, { fence: 12 }))
    expect(await rowsOf('test_order_hour', 'id')).toEqual([[20]])
  })

  it('keeps the old rows when a replacement fails', async () => {
    await windowed.replace(batchOf(1), [new Order(1, 1)])
    const twice = [new Order(2, 2), new Order(2, 2)]
    await expect(windowed.replace(batchOf(1, { fence: 11 }), twice)).rejects.toThrow(/unique|duplicate/i)
    expect(await rowsOf('test_order_hour')).toEqual([[1, 1]])
  })

  it('fills the window column in inserts and upserts of a run with a window', async () => {
    await windowed.insert(batchOf(3), [new Order(1, 1)])
    await windowed.upsert(batchOf(3), [new Order(1, 2)], ['window_start', 'id'])
    const inWindow = await sql.query('SELECT total FROM test_order_hour WHERE window_start = ?', [hourOf(3).start])
    expect(inWindow).toEqual([{ total: 2 }])
  })

  it('advises a job without windows to insert or upsert instead', async () => {
    const message =
      'needs a window, but the run of job "orders" has none; give the job windows, or use insert or upsert'
    await expect(windowed.replace(batchOf(undefined), [])).rejects.toMatchObject({
      code: 'JOB_INVALID',
      message: `table test_order_hour: replace ${message}`,
    })
    await expect(windowed.clear(batchOf(undefined))).rejects.toThrow(`clear ${message}`)
    await expect(plain.replace(batchOf(1), [])).rejects.toThrow(
      'table test_order: replace needs a windowColumn, but it is null',
    )
  })

  describe('with a fence', () => {
    it('replaces the rows that older runs left in the window', async () => {
      await fenced.replace(batchOf(1, { fence: 5 }), [new Order(1, 5), new Order(2, 5)])
      await fenced.replace(batchOf(1, { fence: 6 }), [new Order(1, 6)])
      await fenced.replace(batchOf(1, { fence: 6, index: 1 }), [new Order(3, 6)])
      expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([
        [1, 6],
        [3, 6],
      ])
    })

    it('refuses every write of a run that a newer run has overtaken', async () => {
      await fenced.replace(batchOf(1, { fence: 6 }), [new Order(1, 6)])
      const stale = {
        code: 'SINK_FAILED',
        message: expect.stringContaining(
          'table test_order_fence: run 12 with fence 5 is stale, because the window of 2026-01-01T01:00:00.000Z belongs to fence 6; nothing was written',
        ) as unknown,
        details: { newerFence: '6' },
      }
      const first = batchOf(1, { fence: 5 })
      const later = batchOf(1, { fence: 5, index: 3 })
      await expect(fenced.replace(first, [new Order(9, 5)])).rejects.toMatchObject(stale)
      await expect(fenced.replace(later, [new Order(9, 5)])).rejects.toMatchObject(stale)
      await expect(fenced.insert(later, [new Order(9, 5)])).rejects.toMatchObject(stale)
      await expect(fenced.clear(first)).rejects.toMatchObject(stale)
      expect(await rowsOf('test_order_fence')).toEqual([[1, 6]])
      await fenced.replace(batchOf(2, { fence: 5 }), [new Order(9, 5)])
      expect(await rowsOf('test_order_fence')).toEqual([
        [1, 6],
        [9, 5],
      ])
    })

    // Statements 1 to 5 lock the window, delete, insert, delete again and note the batch; 6 is the commit. SQLite has
    // only one writer, so no other run can act between the statements.
    it.each(store.name === 'mysql' ? [1, 2, 3, 4, 5, 6] : [])(
      'leaves no mixed rows when an older run writes before statement %i of the newer one',
      async (when) => {
        const other = (await store.open()).sql
        let older: Promise<unknown> | undefined
        let statements = 0
        const step = async (): Promise<void> => {
          statements++
          if (older || statements < when) return
          const write = fenced.replace(batchOf(1, { fence: 5, index: 1 }), [new Order(1, 5)], { on: other })
          older = write.catch((error: unknown) => error)
          // The older run is done, or waits for the newer run's locks; the server says which.
          await Promise.race([older, lockWait(sql)])
        }
        const interleaved: SqlDatabase = {
          ...sql,
          transaction: (fn) =>
            sql.transaction(async (trx) => {
              const exec: SqlExecutor['exec'] = async (text, params) => {
                await step()
                return trx.exec(text, params)
              }
              const result = await fn({ ...trx, exec })
              await step()
              return result
            }),
        }
        await fenced.replace(batchOf(1, { fence: 6 }), [new Order(1, 6)], { on: interleaved })
        expect(statements).toBeGreaterThanOrEqual(6)
        await older
        expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([[1, 6]])
      },
    )
  })

  describe('with a generation that many writers share', () => {
    const shared = sqlTable<Order>({
      name: 'test_order_fence',
      columns: ['id', 'total'],
      key: ['id'],
      fenceColumn: 'fence',
    })
    const merged = (fence: number, generation: number, orders: readonly Order[]): Promise<void> =>
      shared.merge(batchOf(1, { fence }), orders, ['id'], { generation })

    it('merges rows beside those of the generation before, until these are cleared', async () => {
      await merged(11, 10, [new Order(1, 1), new Order(2, 1)])
      await merged(12, 10, [new Order(2, 2), new Order(3, 2)])
      expect(await rowsOf('test_order_fence', 'id, total, fence')).toEqual([
        [1, 1, 10],
        [2, 2, 10],
        [3, 2, 10],
      ])
      await merged(21, 20, [new Order(1, 3)])
      expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([
        [1, 10],
        [1, 20],
        [2, 10],
        [3, 10],
      ])
      await shared.clear({ window: hourOf(1), before: 20 }, { on: sql })
      expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([[1, 20]])
    })

    it('refuses a late writer and a late end of an older generation', async () => {
      await merged(21, 20, [new Order(1, 3)])
      await expect(merged(12, 10, [new Order(9, 9)])).rejects.toMatchObject({
        code: 'SINK_FAILED',
        message: expect.stringContaining('with fence 10 is stale') as unknown,
      })
      await expect(shared.clear({ window: hourOf(1), before: 10 }, { on: sql })).rejects.toThrow(
        'the writer with fence 10',
      )
      expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([[1, 20]])
    })

    it('needs a fence column, a key and a window', async () => {
      await expect(windowed.merge(batchOf(1), [], ['id'])).rejects.toThrow('merge needs a fenceColumn')
      await expect(fenced.merge(batchOf(1), [])).rejects.toThrow('merge got the key columns []')
      await expect(shared.merge(batchOf(undefined), [])).rejects.toMatchObject({ code: 'JOB_INVALID' })
      await expect(async () => shared.upsert(batchOf(1), [])).rejects.toThrow('upsert got no key columns')
    })
  })

  it.each([
    [Number.NaN, 'NaN'],
    [new Date('x'), 'an invalid date'],
    [() => 1, 'function'],
    [new Map(), 'an instance of Map'],
    [Object.create(Object.create(null) as object) as unknown, 'an instance of Object'],
  ])('refuses the value %s and names the row', async (total, text) => {
    const table = sqlTable<{ id: number; total: unknown }>({
      name: 'test_order',
      columns: ['id', 'total'],
      windowColumn: null,
    })
    const rows = [
      { id: 1, total: 1 },
      { id: 2, total },
    ]
    await expect(table.insert(batchOf(undefined), rows)).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: expect.stringContaining(`total of row 1 for table test_order is ${text}`) as unknown,
    })
  })

  it.each([
    [{ a: [1, Number.NaN] }, 'value.a[1] is NaN'],
    [{ 'a b': new Map([[1, 2]]) }, 'value["a b"] is a Map'],
    [[undefined], 'value[0] is undefined'],
    [{ n: 10n }, 'value.n is the BigInt 10'],
    [{ toJSON: () => undefined }, 'value is undefined'],
  ])('refuses an object of which JSON would lose a part: %o', async (total, text) => {
    const table = sqlTable<{ total: unknown }>({ name: 'test_order', columns: ['total'], windowColumn: null })
    await expect(table.insert(batchOf(undefined), [{ total }])).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: expect.stringContaining(
        `total of row 0 for table test_order can't be stored as JSON: ${text}`,
      ) as unknown,
    })
  })

  it('meets the needs of a sink: a repeated run leaves each window once', async () => {
    const Orders = defineSink({
      name: 'orders',
      batchSize: 3,
      on: [[Order, (rows, batch) => fenced.replace(batch, rows)]],
      clear: (scope) => fenced.clear(scope),
    })
    const run = async (fence: number, ids: readonly number[]): Promise<void> => {
      const buffer = new BufferedSink(targetOf(Orders), scopeOf({ fence, window: hourOf(4) }))
      for (const id of ids) await buffer.write(Order, new Order(id, fence))
      await buffer.flush()
    }
    await run(5, [1, 2, 3, 4, 5, 6, 7])
    await run(6, [1, 2, 3, 4, 5])
    expect(await rowsOf('test_order_fence', 'id, fence')).toEqual([1, 2, 3, 4, 5].map((id) => [id, 6]))
    await run(7, [])
    expect(await rowsOf('test_order_fence')).toEqual([])
  })
})

describe('sqlTable', () => {
  const columns = ['id'] as const
  it.each([
    [{ name: 'orders; DROP TABLE x', columns }, 'table "orders; DROP TABLE x" is not a plain SQL name'],
    [{ name: 'a.b.c', columns }, 'table "a.b.c" is not a plain SQL name'],
    [{ name: 'orders', columns: ['i`d'] }, 'table orders: column "i`d" is not a plain SQL name'],
    [{ name: 'orders', columns: ['a.id'] }, 'table orders: column "a.id" is not a plain SQL name'],
    [{ name: 'orders', columns: { id: 7 } }, 'table orders: column 7 is not a plain SQL name'],
    [{ name: 'orders', columns, windowColumn: '' }, 'table orders: column "" is not a plain SQL name'],
    [{ name: 'orders', columns: [] }, 'table orders: it has no columns'],
    [{ name: 'orders', columns: ['id', 'window_start'] }, 'table orders: column window_start is listed twice'],
    [{ name: 'orders', columns, fenceColumn: 'id' }, 'table orders: column id is listed twice'],
    [{ name: 'orders', columns, chunkSize: 0 }, 'table orders: chunkSize is 0; expected a whole number from 1 to 1000'],
  ])('refuses %o', (options, message) => {
    expect(() => sqlTable(options as unknown as Parameters<typeof sqlTable>[0])).toThrow(message)
  })

  it('infers its rows', () => {
    expectTypeOf<Parameters<typeof plain.insert>[1]>().toEqualTypeOf<readonly Order[]>()
    // @ts-expect-error an order has no such property
    sqlTable<Order>({ name: 'orders', columns: ['price'] })
  })
})
