import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { file } from '../../src/offload/file.ts'
import { offload } from '../../src/offload/offload.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import { CallTimer } from '../../src/offload/pool/call-timer.ts'
import { OffloadCall } from '../../src/offload/pool/offload-call.ts'
import type { OffloadOptions } from '../../src/offload/pool/pool-options.ts'
import { ChunkReader } from '../../src/offload/streams/chunk-reader.ts'
import { newRoom } from '../../src/offload/streams/room.ts'
import { withRunSignal } from '../../src/offload/signal.ts'
import { PATIENCE_MS } from '../support/patience.ts'

type Streams = typeof import('./modules/streams.ts')

const url = new URL('./modules/streams.ts', import.meta.url)
const opened: OffloadPool[] = []
const endings: (() => void)[] = []
afterEach(async () => {
  const now = AbortSignal.abort(new Error('the test is over'))
  await Promise.all(opened.splice(0).map((pool) => pool.close(now)))
  endings.splice(0).forEach((end) => end())
})

function streams(options: OffloadOptions = {}) {
  const pool = new OffloadPool({ size: 1, ...options })
  opened.push(pool)
  return { pool, streams: offload<Streams>(url, { pool }) }
}

const counters = (): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(8))
const soon = { timeout: PATIENCE_MS, interval: 10 }

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

describe('a generator in a thread', () => {
  test('is an async iterable here, in order, complete, async or not', async () => {
    const { streams: functions } = streams()
    const rows = await all(functions.rows(5_000, counters()))
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 5_000 }, (_, id) => id))
    expect(await all(functions.numbers(3))).toEqual([0, 1, 2])
    expect(await all(functions.numbers(0))).toEqual([])
  })

  test('leaves no time limit running when its last rows arrive after the reply of its thread', async () => {
    const started = vi.spyOn(CallTimer.prototype, 'start')
    const halted = vi.spyOn(CallTimer.prototype, 'halt')
    const late: (() => void)[] = []
    const openStream = Reflect.get(OffloadCall.prototype, 'openStream')
    vi.spyOn(OffloadCall.prototype, 'openStream').mockImplementation(function (this: OffloadCall, end, onProgress) {
      const on = end.port.on.bind(end.port)
      const hold = (event: 'message', hear: (message: unknown) => void): MessagePort =>
        on(event, (message: unknown) => void late.push(() => hear(message)))
      Object.assign(end.port, { on: hold })
      openStream.call(this, end, onProgress)
    })
    endings.push(() => vi.restoreAllMocks())
    const { pool, streams: functions } = streams({ timeout: '5m' })
    // Two large rows are two chunks, of which a thread waits for its reader. The end follows them.
    const rows = all(functions.rows(2, counters(), 200_000))
    await expect.poll(() => [late.length, pool.stats.running], soon).toEqual([3, 0])
    for (const hear of late) hear()
    expect(await rows).toHaveLength(2)
    expect(started).toHaveBeenCalled()
    const lastOf = ({ mock }: { readonly mock: { readonly invocationCallOrder: readonly number[] } }): number =>
      Math.max(...mock.invocationCallOrder)
    expect(lastOf(halted)).toBeGreaterThan(lastOf(started))
  })

  test('waits for its reader, by rows and by bytes', async () => {
    const { streams: functions } = streams()
    for (const [length, atMost] of [
      [10, 6_000],
      [100_000, 12],
    ] as const) {
      const made = counters()
      const iterator = functions.rows(100_000, made, length)[Symbol.asyncIterator]()
      await iterator.next()
      let before = -1
      await expect
        .poll(() => {
          const now = Atomics.load(made, 0)
          const stopped = now === before
          before = now
          return stopped
        }, soon)
        .toBe(true)
      expect(before).toBeLessThan(atMost)
      await iterator.return?.()
      expect(made[1]).toBe(1)
    }
  })

  test('ends with its finally when the loop is left, by break and by a throw, and its thread continues', async () => {
    const { pool, streams: functions } = streams()
    const made = counters()
    for await (const row of functions.rows(1_000_000, made)) if (row.id === 10) break
    expect(made[1]).toBe(1)
    const thrown = new Error('enough')
    const reading = async (): Promise<void> => {
      for await (const row of functions.rows(1_000_000, made)) if (row.id === 10) throw thrown
    }
    await expect(reading()).rejects.toBe(thrown)
    expect(made[1]).toBe(2)
    expect(await functions.sum(Readable.from([1, 2]))).toBe(3)
    expect(pool.stats).toMatchObject({ threads: 1, running: 0, failures: {} })
  })

  test('ends when the run is cancelled: the reader immediately, the generator by its signal', async () => {
    const { pool, streams: functions } = streams()
    const run = new AbortController()
    const made = counters()
    const reason = new Error('the run was cancelled')
    const rows: string[] = []
    const reading = withRunSignal(run, async () => {
      for await (const row of functions.patient(made)) {
        rows.push(row)
        setImmediate(() => run.abort(reason))
      }
    })
    await expect(reading).rejects.toBe(reason)
    expect(rows).toEqual(['first'])
    await expect.poll(() => Atomics.load(made, 1), soon).toBe(1)
    await expect.poll(() => pool.stats.running, soon).toBe(0)
    expect(pool.stats.failures).toEqual({ cancelled: 1 })
  })

  test('that never ends by itself loses its thread, and the next call gets another', async () => {
    const { streams: functions } = streams()
    for await (const row of functions.stubborn()) if (row === 'first') break
    expect(await functions.sum(Readable.from([4]))).toBe(4)
  })

  test('fails after its rows with its own error, or with the place of a row that can not be copied', async () => {
    const { streams: functions } = streams()
    const values: number[] = []
    const reading = async (): Promise<void> => {
      for await (const value of functions.failAfter(2_500)) values.push(value)
    }
    await expect(reading()).rejects.toMatchObject({ name: 'RangeError', message: 'no more', code: 'NO_MORE' })
    expect(values).toHaveLength(2_500)
    await expect(all(functions.uncloneable())).rejects.toMatchObject({
      code: 'OFFLOAD_COPY',
      message: expect.stringMatching(/rows\[\d\]\.rows\[0\]\.onDone is a function/) as string,
    })
    const missing = functions as unknown as { row(): AsyncIterable<unknown> }
    await expect(all(missing.row())).rejects.toMatchObject({ code: 'OFFLOAD_FAILED' })
    const wrong = functions as unknown as { sum(values: AsyncIterable<number>): AsyncIterable<unknown> }
    await expect(all(wrong.sum(Readable.from([1])))).rejects.toThrow('sum() returned no stream; await its result')
  })

  test('gives its reader every row before one that can not be copied, and names its place in the stream', async () => {
    const { streams: functions } = streams()
    const rows: unknown[] = []
    const reading = async (): Promise<void> => {
      for await (const row of functions.badAt(1_234)) rows.push(row)
    }
    await expect(reading()).rejects.toMatchObject({
      code: 'OFFLOAD_COPY',
      message: expect.stringContaining('rows[1234].id is a function') as string,
    })
    expect(rows.at(-1)).toEqual({ id: 1_233 })
    expect(rows).toHaveLength(1_234)
  })

  test('yields rows of any kind as structured clone has them, each as it was at its yield', async () => {
    const { streams: functions } = streams()
    const rows = await all(functions.variety())
    const some = (id: number) => ({
      id,
      at: new Date(id),
      none: undefined,
      tags: ['a', { deep: [id] }],
      shared: { n: 1 },
    })
    expect(rows.slice(0, 6)).toStrictEqual([
      some(0),
      some(1),
      some(2),
      { id: 3, more: true },
      { x: 1 },
      { 7: 'seven', a: 1 },
    ])
    expect(Object.entries(rows[6] as object)).toEqual([
      ['__proto__', 1],
      ['b', 2],
    ])
    expect((rows[7] as { self: unknown }).self).toBe(rows[7])
    expect(rows.slice(8)).toEqual([
      null,
      5,
      'text',
      [1, 2],
      new Map([[1, 2]]),
      { value: 1, bytes: new Uint8Array([1]) },
    ])
    expect((await all(functions.reused(3_000))).map((row) => (row as { id: number }).id).at(-1)).toBe(2_999)
    expect(await all(functions.promises())).toEqual([0, 1, 2])
  })

  test('ends with the handler of its run, and when nobody can read it any more', async () => {
    const { pool, streams: functions } = streams()
    const made = counters()
    const signal = new AbortController().signal
    await withRunSignal({ signal, jobId: 'job' }, async () => {
      const iterator = functions.rows(100_000, made)[Symbol.asyncIterator]()
      await iterator.next()
    })
    await expect.poll(() => made[1], soon).toBe(1)
    await (async () => void (await functions.rows(100_000, made)[Symbol.asyncIterator]().next()))()
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    await expect.poll(() => (collect(), made[1]), soon).toBe(2)
    await expect.poll(() => pool.stats.running, soon).toBe(0)
  })

  test('lets its reader call the same pool of one thread, and feed one call into another', async () => {
    const { streams: functions } = streams()
    let total = 0
    for await (const value of functions.numbers(20_000))
      if (value % 5_000 === 0) total += await functions.sum(functions.numbers(value))
    expect(total).toBe([5_000, 10_000, 15_000].reduce((sum, count) => sum + (count * (count - 1)) / 2, 0))
    expect(await functions.sum(functions.doubled(functions.doubled(functions.numbers(1_000))))).toBe(4 * 499_500)
  })
})

describe('a stream as an argument', () => {
  test('may be a Node stream, a web stream, a generator or a file, compressed or not', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'piko-h6-streams-'))
    endings.push(() => rmSync(folder, { recursive: true }))
    const { streams: functions } = streams()
    const bytes = Buffer.alloc(300_000, 'a\n')
    writeFileSync(join(folder, 'x.txt'), bytes)
    writeFileSync(join(folder, 'x.txt.gz'), gzipSync(bytes))
    const chunks = [bytes.subarray(0, 100_000), bytes.subarray(100_000)]
    async function* generated() {
      yield* chunks
    }
    const sources = [
      Readable.from(chunks),
      new ReadableStream({ pull: (stream) => (chunks.forEach((chunk) => stream.enqueue(chunk)), stream.close()) }),
      generated(),
      file(join(folder, 'x.txt')),
      file(join(folder, 'x.txt.gz')),
    ] as const
    for (const source of sources) expect(await functions.bytesOf(source)).toBe(300_000)
    await expect(functions.bytesOf(file(join(folder, 'none.gz')))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test('is read only as far as the thread needs it, and is ended with the call', async () => {
    const { streams: functions } = streams()
    let made = 0
    let ended = 0
    async function* endless() {
      try {
        for (;;) yield made++
      } finally {
        ended++
      }
    }
    expect(await functions.sum(endless(), 100)).toBe(105)
    await expect.poll(() => ended, soon).toBe(1)
    expect(made).toBeLessThan(10_000)
    async function* failing() {
      yield 1
      throw new RangeError('the source failed')
    }
    await expect(functions.sum(failing())).rejects.toMatchObject({ name: 'RangeError', message: 'the source failed' })
    const abort = new AbortController()
    const waiting = new Readable({ objectMode: true, read() {} })
    const call = offload<Streams>(url, { pool: opened[0]! }).$with({ signal: abort.signal }).sum(waiting)
    await turn()
    abort.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
    await expect.poll(() => waiting.destroyed, soon).toBe(true)
  })
})

test('a source that waits does not use up the time of its call, nor does its end hold the call', async () => {
  const { streams: functions } = streams()
  async function* slow() {
    for (let value = 1; value <= 3; value++) {
      yield value
      await sleep(400)
    }
  }
  await functions.sum(Readable.from([1]))
  expect(await functions.$with({ timeout: '300ms' }).sum(slow())).toBe(6)
  async function* stuck() {
    yield 7
    await new Promise(() => {})
  }
  expect(await functions.first(stuck())).toBe(7)
  await expect(all(functions.doubled(Readable.from([1, () => {}])))).rejects.toMatchObject({
    message: expect.stringContaining('items[1] is a function') as string,
  })
})

test('a reader that fails now never takes the rows that it had for all of them', async () => {
  const { port1, port2 } = new MessageChannel()
  const room = newRoom()
  const reader = new ChunkReader({ port: port2, room })
  port1.postMessage({ items: [1, 2] })
  port1.postMessage({ isLast: true })
  expect(await reader.next()).toEqual({ done: false, value: 1 })
  await expect.poll(() => reader.isOver, soon).toBe(true)
  reader.fail(new Error('cancelled'), true)
  await expect(reader.next()).rejects.toThrow('cancelled')
  port1.close()
})

test('progress of a thread reaches the run, the last one always', async () => {
  const { streams: functions } = streams()
  const lines = Buffer.from('{"a":1}\n'.repeat(20_000))
  const seen: unknown[][] = []
  const run = { signal: new AbortController().signal, jobId: 'job', progress: (...args: unknown[]) => seen.push(args) }
  const rows = await withRunSignal(run, () => all(functions.linesOf(Readable.from([lines, lines]), 2 * lines.length)))
  expect(rows).toHaveLength(40_000)
  await expect.poll(() => seen.at(-1), soon).toEqual([2 * lines.length, 2 * lines.length, undefined])
})
