import { beforeAll, beforeEach, expect, it } from 'vitest'
import type { SinkBatch } from '../../src/sink/sink.ts'
import { sqlTable } from '../../src/sink/sql/sql-table.ts'
import type { SqlDatabase } from '../../src/sql/sql.ts'
import { describeEachStore } from '../support/databases.ts'
import { hourOf, sinkScope } from './sink-scope.ts'

interface Page {
  readonly url: string
  readonly size: number | null
}

const pages = sqlTable<Page>({ name: 'test_page', columns: ['url', 'size'], key: ['url'], fenceColumn: 'fence' })

describeEachStore((store) => {
  let sql: SqlDatabase
  let transactions = 0

  beforeAll(async () => {
    const database = await store.open()
    const real = database.sql
    sql = new Proxy(real, {
      get(target, property, receiver) {
        if (property !== 'transaction') return Reflect.get(target, property, receiver) as unknown
        return (fn: Parameters<SqlDatabase['transaction']>[0]) => {
          transactions += 1
          return target.transaction(fn)
        }
      },
    })
    await sql.exec(
      `CREATE TABLE test_page (window_start DATETIME(3) NOT NULL, fence BIGINT NOT NULL, url VARCHAR(100) NOT NULL, size INT NOT NULL,
         PRIMARY KEY (window_start, fence, url))`,
    )
    await pages.open({ sql })
  })
  beforeEach(async () => {
    await sql.exec('DELETE FROM test_page')
    await sql.exec('DELETE FROM piko_fence')
    transactions = 0
  })

  const batchOf = (itemId: number, more: Partial<SinkBatch> = {}): SinkBatch => ({
    ...sinkScope({ sql, window: hourOf(3), itemId }),
    ...{ index: 0, key: `pages/${itemId}` },
    ...more,
  })
  const stored = async (): Promise<string[]> => {
    const rows = await sql.query<{ url: string }>('SELECT url FROM test_page ORDER BY window_start, fence, url')
    return rows.map(({ url }) => url)
  }
  const named = (from: number, to: number): string[] =>
    Array.from({ length: to - from }, (_, index) => `page ${String(from + index).padStart(3, '0')}`)

  it('writes the rows of items that end together in few transactions', async () => {
    const urls = named(0, 120)
    await Promise.all(urls.map((url, index) => pages.merge(batchOf(index), [{ url, size: index }])))
    expect(await stored()).toEqual(urls)
    expect(transactions).toBeLessThanOrEqual(3)
  })

  it('lets a row that the database refuses fail its own item alone', async () => {
    const urls = named(0, 20)
    const ends = await Promise.allSettled(
      urls.map((url, index) => pages.merge(batchOf(index), [{ url, size: index === 7 ? null : index }])),
    )
    expect(ends.flatMap(({ status }, index) => (status === 'rejected' ? [index] : []))).toEqual([7])
    expect(await stored()).toEqual(urls.filter((_, index) => index !== 7))
  })

  it('keeps items of another window or of an older generation apart', async () => {
    await pages.merge(batchOf(0, { fence: 20 }), [{ url: 'new', size: 1 }])
    const ends = await Promise.allSettled([
      pages.merge(batchOf(1, { fence: 10 }), [{ url: 'stale', size: 1 }]),
      pages.merge(batchOf(2, { fence: 20 }), [{ url: 'newer', size: 1 }]),
      pages.merge(batchOf(3, { fence: 10, window: hourOf(4) }), [{ url: 'other', size: 1 }]),
    ])
    expect(ends.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled'])
    expect(await stored()).toEqual(['new', 'newer', 'other'])
  })

  it('does not write rows that still wait when their item is aborted', async () => {
    const aborted = new AbortController()
    const first = pages.merge(batchOf(0), [{ url: 'first', size: 1 }])
    const second = pages.merge(batchOf(1, { signal: aborted.signal }), [{ url: 'second', size: 1 }])
    aborted.abort(new Error('the item was cancelled'))
    await expect(second).rejects.toThrow('the item was cancelled')
    await first
    expect(await stored()).toEqual(['first'])
  })

  it('keeps the last row of a key, in the order in which the items wrote it', async () => {
    await Promise.all([1, 2, 3].map((size) => pages.merge(batchOf(size), [{ url: 'same', size }])))
    const [row] = await sql.query<{ size: number }>('SELECT size FROM test_page')
    expect(Number(row?.size)).toBe(3)
  })
})
