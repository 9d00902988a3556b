import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { parquetReadObjects } from 'hyparquet'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { csv } from '../../../src/data/sinks/csv.ts'
import { FencedFiles } from '../../../src/data/sinks/fenced-files.ts'
import { jsonLines } from '../../../src/data/sinks/json-lines.ts'
import { parquet } from '../../../src/data/sinks/parquet.ts'
import type { SinkClass, SinkScope } from '../../../src/sink/sink.ts'
import { SinkPool } from '../../../src/sink/sink-pool.ts'
import { MemoryLog } from '../../resource/resource-context.ts'
import { hourOf, sinkScope } from '../../sink/sink-scope.ts'

const Order = z.object({ id: z.int(), note: z.string().nullable(), big: z.bigint().optional() })
type Order = z.infer<typeof Order>

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'piko-h5-files-'))
})
afterEach(() => {
  rmSync(folder, { recursive: true, force: true })
})

const scopeOf = (fence: number, hour: number | 'none' = 1): SinkScope =>
  sinkScope({ fence, window: hour === 'none' ? undefined : hourOf(hour) })

/** A process with one sink, and its runs. */
function processOf(sinkClass: SinkClass) {
  const scope = sinkScope()
  const pool = new SinkPool({ env: { sql: scope.sql, log: new MemoryLog() } })
  const begin = async (run: SinkScope) => {
    const { writers, flush, discard } = await pool.forRun({ out: sinkClass }, run)
    return { write: (model: z.ZodType, rows: unknown[]) => writers['out']?.write(model, rows), flush, discard }
  }
  return {
    pool,
    begin,
    /** A run that writes these rows and succeeds. */
    run: async (run: SinkScope, model: z.ZodType, rows: unknown[]) => {
      const attempt = await begin(run)
      await attempt.write(model, rows)
      await attempt.flush()
    },
  }
}

const read = (path: string): Promise<string> => readFile(join(folder, path), 'utf8')
/** All files below the folder but the sink's own. */
const files = async (): Promise<string[]> => {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  const names = found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return names
    .map((name) => name.slice(folder.length + 1))
    .filter((name) => !name.startsWith('.piko/fences'))
    .toSorted()
}

describe('a sink of files', () => {
  it('publishes a window as a whole, and replaces it by a rerun', async () => {
    const { run, begin } = processOf(jsonLines({ model: Order, path: `${folder}/{job}/{window}.jsonl`, batchSize: 2 }))
    const attempt = await begin(scopeOf(1))
    await attempt.write(
      Order,
      [1, 2, 3, 4, 5].map((id): Order => ({ id, note: null })),
    )
    expect(await files()).toEqual([expect.stringMatching(/^\.piko\/tmp\//)])
    await attempt.flush()
    expect(await files()).toEqual(['orders/20260101T010000Z.jsonl'])
    expect(await read('orders/20260101T010000Z.jsonl')).toMatch(
      /^\{"id":1,"note":null\}\n(.+\n){3}\{"id":5,"note":null\}\n$/,
    )
    await run(scopeOf(2), Order, [{ id: 9, note: 'x', big: 2n ** 62n }])
    await run(scopeOf(3, 2), Order, [])
    expect(await read('orders/20260101T010000Z.jsonl')).toBe('{"id":9,"note":"x","big":4611686018427387904}\n')
    expect(await read('orders/20260101T020000Z.jsonl')).toBe('')
    expect(await files()).toHaveLength(2)
  })

  it('leaves nothing from a failed attempt, and keeps the file that was there', async () => {
    const { run, begin, pool } = processOf(jsonLines({ model: Order, path: `${folder}/{window}.jsonl`, batchSize: 1 }))
    await run(scopeOf(1), Order, [{ id: 1, note: 'kept' }])
    const attempt = await begin(scopeOf(2))
    await attempt.write(Order, [{ id: 2, note: 'dropped' }])
    await attempt.discard()
    const stopped = await begin(scopeOf(3))
    await stopped.write(Order, [{ id: 3, note: 'dropped' }])
    await pool.close()
    expect(await files()).toEqual(['20260101T010000Z.jsonl'])
    expect(await read('20260101T010000Z.jsonl')).toContain('kept')
  })

  it('never lets a late node replace the file of a newer run, whenever it wakes up', async () => {
    const sink = jsonLines({ model: Order, path: `${folder}/{window}.jsonl`, batchSize: 1 })
    const [late, newer] = [processOf(sink), processOf(sink)]
    const attempt = await late.begin(scopeOf(5))
    await attempt.write(Order, [{ id: 5, note: 'late' }])
    await newer.run(scopeOf(6), Order, [{ id: 6, note: 'newer' }])
    await expect(attempt.flush()).rejects.toThrow(
      'the run with fence 5 is stale, because a run with fence 6 writes this file',
    )
    await attempt.discard()
    const second = await late.begin(scopeOf(4))
    await second.write(Order, [{ id: 4, note: 'late' }])?.catch(() => {})
    await expect(second.flush()).rejects.toMatchObject({ code: 'SINK_FAILED' })
    await second.discard()
    expect(await read('20260101T010000Z.jsonl')).toContain('newer')
    expect(await files()).toHaveLength(1)
  })

  it('fails the rename of a writer that stopped after its check', async () => {
    const disk = new FencedFiles(folder)
    await disk.open()
    const [late, newer] = [await disk.begin('a.txt', 5), await disk.begin('a.txt', 6)]
    await writeFile(join(late, '0'), 'late')
    await writeFile(join(newer, '0'), 'newer')
    const publish = (fence: number, temporary: string): Promise<void> =>
      disk.publish(
        { set: 'a.txt', fence, folder: temporary },
        [{ temporary: join(temporary, '0'), path: 'a.txt' }],
        () => false,
      )
    await publish(6, newer)
    // As if the newer run's fence had not been visible yet.
    rmSync(join(folder, '.piko/fences'), { recursive: true })
    await expect(publish(5, late)).rejects.toThrow('is stale, because a newer run writes this file')
    expect(await read('a.txt')).toBe('newer')
  })

  it('deletes temporary files of processes that ended long ago, and only those', async () => {
    const sink = jsonLines({ model: Order, path: `${folder}/{run}.jsonl` })
    const old = new Date(Date.now() - 25 * 3_600_000)
    for (const name of ['old', 'new']) {
      await mkdir(join(folder, '.piko/tmp', name), { recursive: true })
      await writeFile(join(folder, '.piko/tmp', name, '0'), '')
    }
    for (const path of ['.piko/tmp/old/0', '.piko/tmp/old']) await utimes(join(folder, path), old, old)
    await processOf(sink).run(scopeOf(1, 'none'), Order, [])
    expect(await files()).toEqual(['.piko/tmp/new/0', '12.jsonl'])
  })

  it('divides rows into parts, and deletes the parts that an earlier run had more', async () => {
    const sink = jsonLines({ model: Order, path: `${folder}/{date}/p-{part}.jsonl.gz`, partRows: 2 })
    const day = (fence: number): SinkScope => ({
      ...scopeOf(fence),
      window: { start: new Date('2026-01-01T00:00:00Z'), end: new Date('2026-01-02T00:00:00Z') },
    })
    const rows = (count: number): Order[] => Array.from({ length: count }, (_, id) => ({ id, note: `${count}` }))
    const { run } = processOf(sink)
    await run(day(1), Order, rows(5))
    expect(await files()).toEqual([0, 1, 2].map((part) => `2026-01-01/p-0000${part}.jsonl.gz`))
    await run(day(2), Order, rows(3))
    expect(await files()).toEqual([0, 1].map((part) => `2026-01-01/p-0000${part}.jsonl.gz`))
    expect(gunzipSync(await readFile(join(folder, '2026-01-01/p-00001.jsonl.gz'))).toString()).toBe(
      '{"id":2,"note":"3"}\n',
    )
  })

  it.each([
    ['csv', csv],
    ['parquet', parquet],
  ])('writes no row of a batch with a wrong row, also if the batch fills several parts (%s)', async (type, sinkOf) => {
    const Files = sinkOf({ model: Order, path: `${folder}/{window}-{part}.${type}`, partRows: 2 })
    const sink = new (Files as unknown as new () => {
      open(): Promise<void>
      rows(rows: Order[], scope: SinkScope): Promise<void>
      finish(scope: SinkScope): Promise<void>
    })()
    const scope = scopeOf(1)
    const rows = [1, 2, 3, 4, 5].map((id): Order => ({ id, note: id === 4 ? '\ud800' : null }))
    await sink.open()
    await expect(sink.rows(rows, scope)).rejects.toMatchObject({ code: 'SINK_ROW_INVALID' })
    // As a sink with dead letters does: it sends the others again.
    await sink.rows(
      rows.filter(({ id }) => id !== 4),
      scope,
    )
    await sink.finish(scope)
    expect(await files()).toEqual([0, 1].map((part) => `20260101T010000Z-0000${part}.${type}`))
  })

  it('refuses runs whose windows would replace each other, and says why', async () => {
    const run = (path: string, scope: SinkScope): Promise<void> =>
      processOf(jsonLines({ model: Order, path: `${folder}/${path}` })).run(scope, Order, [{ id: 1, note: null }])
    await expect(run('{job}.jsonl', scopeOf(1))).rejects.toThrow('path has no {window}, so each window of job "orders"')
    await expect(run('{date}.jsonl', scopeOf(1))).rejects.toThrow('are shorter than a day')
    await expect(run('{window}.jsonl', scopeOf(1, 'none'))).rejects.toThrow('the run of job "orders" has no window')
    await run('{job}.jsonl', scopeOf(1, 'none'))
    expect(await files()).toEqual(['orders.jsonl'])
  })

  it('writes the names of jobs as one name, and dates in their zone', async () => {
    const sink = jsonLines({
      model: Order,
      path: `${folder}/{job}/{date}_{window.end}.jsonl`,
      timezone: 'Europe/Berlin',
    })
    const window = { start: new Date('2025-06-14T22:00:00Z'), end: new Date('2025-06-15T22:00:00Z') }
    const { run } = processOf(sink)
    await run({ ...scopeOf(1), window, jobId: '../über/x' }, Order, [])
    expect(await files()).toEqual(['%2E%2E%2F%C3%BCber%2Fx/2025-06-15_20250615T220000Z.jsonl'])
  })

  it('names everything wrong with its options at once', () => {
    const wrong = { model: Order, path: '/a/../{windw}/{part}/b:{x', compres: 'gzip', timezone: 'Mars', partRows: 0 }
    expect(() => jsonLines(wrong as unknown as Parameters<typeof jsonLines>[0])).toThrow(/^sink jsonl has 8 problems:/)
    expect(() => jsonLines({ model: Order, path: 'a.jsonl.gz', compress: 'zstd', partRows: 5 })).toThrow(
      `sink jsonl has 2 problems:
  path ends as a gzip file, but compress is "zstd"; expected both to agree
  partRows needs {part} in the name of the file`,
    )
    expect(() => csv({ model: Order, path: 'out/', delimiter: '\n', columns: [] })).toThrow(/ends with "\/"/)
    expect(() => parquet({ model: z.object({ a: z.any() }), path: 'a.parquet.gz' })).toThrow(/has 2 problems/)
  })
})

describe('CSV', () => {
  it('gives back every string, and tells NULL from an empty string', async () => {
    const model = z.object({
      'a "name"': z.string().nullable(),
      b: z.string(),
      at: z.date(),
      list: z.array(z.string()),
    })
    const text = fc.oneof(fc.string(), fc.constantFrom('', ',', '"', '\r\n', '\n', ' x ', '😀', '""', ';\t'))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ a: text, b: text, list: fc.array(text) })),
        fc.nat(),
        async (given, fence) => {
          const { run } = processOf(csv({ model, path: `${folder}/{window}.csv.zst`, bom: true }))
          const rows = given.map(({ a, ...row }) => ({ 'a "name"': a, ...row, at: new Date(0) }))
          await run(scopeOf(fence + 1), model, rows)
          const bytes = zstdDecompressSync(await readFile(join(folder, '20260101T010000Z.csv.zst')))
          const parsed: unknown = parse(bytes, { bom: true, columns: true, relax_quotes: false })
          expect(parsed).toEqual(
            rows.map((row) => ({ ...row, at: '1970-01-01T00:00:00.000Z', list: JSON.stringify(row.list) })),
          )
          rmSync(join(folder, '.piko'), { recursive: true })
        },
      ),
      { numRuns: 25 },
    )
    const { run } = processOf(
      csv({ model: Order, path: `${folder}/null.csv`, columns: ['note', 'id'], delimiter: ';' }),
    )
    await run(scopeOf(1, 'none'), Order, [
      { id: 1, note: null },
      { id: 2, note: '' },
      { id: 3, note: 'a;"b"' },
    ])
    expect(await read('null.csv')).toBe('note;id\r\n;1\r\n"";2\r\n"a;""b""";3\r\n')
  })
})

describe('Parquet', () => {
  it('gives back every value of its model, from several row groups', async () => {
    const model = z.object({
      ...{ id: z.int(), small: z.int32(), total: z.number().nullable(), isPaid: z.boolean(), name: z.string() },
      ...{
        at: z.date(),
        big: z.bigint(),
        lines: z.array(z.object({ sku: z.string() })),
        raw: z.instanceof(Uint8Array),
      },
    })
    const rows = Array.from({ length: 25 }, (_, id) => ({
      ...{ id, small: id - 12, total: id % 2 ? null : id / 8, isPaid: id % 3 === 0, name: `n${id} 😀` },
      ...{ at: new Date(1_767_225_600_123 + id), big: 2n ** 62n + BigInt(id), lines: [{ sku: 'a' }] },
      raw: new Uint8Array([0, 255, id]),
    }))
    for (const codec of ['none', 'snappy', 'gzip', 'zstd'] as const) {
      const path = `${folder}/{window}-${codec}.parquet`
      const { run } = processOf(parquet({ model, path, codec, rowGroupRows: 10 }))
      await run(scopeOf(1), model, rows)
    }
    for (const codec of ['none', 'snappy']) {
      const bytes = await readFile(join(folder, `20260101T010000Z-${codec}.parquet`))
      const file = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
      const read = await parquetReadObjects({ file, utf8: false })
      const decoded = read.map((row) => ({
        ...row,
        raw: new Uint8Array(row['raw'] as Uint8Array),
        lines: JSON.parse(Buffer.from(row['lines'] as Uint8Array).toString()) as unknown,
      }))
      expect(decoded).toEqual(rows.map((row) => ({ ...row, id: BigInt(row.id) })))
    }
    const { run } = processOf(parquet({ model, path: `${folder}/empty.parquet` }))
    await run(scopeOf(1, 'none'), model, [])
    const empty = await readFile(join(folder, 'empty.parquet'))
    expect(
      await parquetReadObjects({ file: empty.buffer.slice(empty.byteOffset, empty.byteOffset + empty.byteLength) }),
    ).toEqual([])
  })

  it('refuses a value that its column can not hold, and names the row', async () => {
    const model = z.object({ id: z.int(), any: z.any() })
    const { begin } = processOf(parquet({ model, path: `${folder}/x.parquet`, types: { any: 'instant' } }))
    const attempt = await begin(scopeOf(1, 'none'))
    await attempt.write(model, [
      { id: 1, any: new Date() },
      { id: 2, any: 'soon' },
    ])
    await expect(attempt.flush()).rejects.toThrow(/any of row 1 for file .+x\.parquet is .*soon.*; expected a date/)
    await attempt.discard()
    expect(await files()).toEqual([])
  })
})
