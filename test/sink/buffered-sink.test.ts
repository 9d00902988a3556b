import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { PikoError } from '../../src/errors.ts'
import { BufferedSink } from '../../src/sink/buffered-sink.ts'
import { defineSink } from '../../src/sink/define-sink.ts'

import type { SinkBatch, SinkScope } from '../../src/sink/sink.ts'
import { MemoryLog } from '../resource/resource-context.ts'
import { hourOf, sinkScope, targetOf } from './sink-scope.ts'

const Row = z.object({ id: z.int() }).meta({ id: 'Row' })
class Note {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

interface Delivery {
  readonly model: 'Row' | 'Note'
  readonly rows: readonly unknown[]
  readonly batch: SinkBatch
  readonly finish: () => void
  readonly fail: (error: Error) => void
}

interface BenchOptions {
  readonly batchSize?: number
  readonly batchBytes?: number
  readonly byHand?: boolean
  readonly scope?: Partial<SinkScope>
  readonly onClear?: () => void
}

/** A sink whose deliveries a test finishes by hand, or which finish immediately. */
function bench({
  batchSize = 2,
  batchBytes = 1_000_000,
  byHand = false,
  scope = {},
  onClear = () => {},
}: BenchOptions = {}) {
  const deliveries: Delivery[] = []
  const cleared: (SinkScope & { readonly model: string })[] = []
  const waiters: (() => void)[] = []
  const deliver = (model: Delivery['model'], rows: readonly unknown[], batch: SinkBatch): Promise<void> => {
    const { promise, resolve, reject } = settleable()
    deliveries.push({ model, rows, batch, finish: resolve, fail: reject })
    for (const wake of waiters.splice(0)) wake()
    return byHand ? promise : Promise.resolve()
  }
  const Target = defineSink({
    name: 'target',
    batchSize,
    on: [
      [Row, (rows, batch) => deliver('Row', rows, batch)],
      [Note, (rows, batch) => deliver('Note', rows, batch)],
    ],
    clear: (cleaned, model) => {
      cleared.push({ ...cleaned, model: model === Row ? 'Row' : 'Note' })
      onClear()
    },
  })
  const target = targetOf(Target, { batchSize, batchBytes })
  return {
    deliveries,
    cleared,
    sink: new BufferedSink(target, sinkScope(scope)),
    /** The nth delivery, once it has begun; the first is 1. */
    begun: async (count: number): Promise<Delivery> => {
      while (deliveries.length < count) await new Promise<void>((resolve) => waiters.push(resolve))
      return deliveries[count - 1] as Delivery
    },
  }
}

function settleable(): {
  readonly promise: Promise<void>
  readonly resolve: () => void
  readonly reject: (error: Error) => void
} {
  let resolve = (): void => {}
  let reject = (_error: Error): void => {}
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

const rowsFrom = (first: number, count: number): { id: number }[] =>
  Array.from({ length: count }, (_, index) => ({ id: first + index }))
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Counts the rejections that would end the process, until the test is over. */
function countUnhandled(): () => number {
  let count = 0
  const onUnhandled = (): void => void count++
  process.on('unhandledRejection', onUnhandled)
  onTestFinished(() => void process.off('unhandledRejection', onUnhandled))
  return () => count
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  let pending = true
  const done = (): void => void (pending = false)
  promise.then(done, done)
  await settled()
  return pending
}

describe('BufferedSink.write', () => {
  it('delivers full batches and leaves the rest for flush', async () => {
    const { sink, deliveries } = bench()
    await sink.write(Row, rowsFrom(1, 5))
    await sink.write(Row, { id: 6 })
    await sink.write(Row, { id: 7 })
    await sink.flush()
    expect(deliveries.map(({ rows }) => rows)).toEqual([rowsFrom(1, 2), rowsFrom(3, 2), rowsFrom(5, 2), rowsFrom(7, 1)])
    expect(deliveries.map(({ batch }) => batch.index)).toEqual([0, 1, 2, 3])
  })

  it('keys batches by job, window or run, model and index, the same in every attempt', async () => {
    const keys = async (scope: Partial<SinkScope>): Promise<string[]> => {
      const { sink, deliveries } = bench({ scope })
      await sink.write(Row, rowsFrom(1, 3))
      await sink.write(Note, new Note('a'))
      await sink.flush()
      return deliveries.map(({ batch }) => batch.key)
    }
    const windowed = [
      'orders/2026-01-01T05:00:00.000Z/Row/0',
      'orders/2026-01-01T05:00:00.000Z/Row/1',
      'orders/2026-01-01T05:00:00.000Z/Note/0',
    ]
    expect(await keys({ window: hourOf(5), runId: 1 })).toEqual(windowed)
    expect(await keys({ window: hourOf(5), runId: 2, attempt: 3 })).toEqual(windowed)
    expect(await keys({ runId: 77 })).toEqual(['orders/run:77/Row/0', 'orders/run:77/Row/1', 'orders/run:77/Note/0'])
  })

  it('gives the batch the whole scope of the run', async () => {
    const scope = { fence: 99, window: hourOf(1), attempt: 4 }
    const { sink, deliveries } = bench({ scope })
    await sink.write(Row, { id: 1 })
    await sink.flush()
    expect(deliveries[0]?.batch).toMatchObject({ ...scope, jobId: 'orders', runId: 12, index: 0 })
  })

  it('continues while one batch is in delivery, and waits when the next one is full', async () => {
    const { sink, deliveries, begun } = bench({ byHand: true })
    await sink.write(Row, rowsFrom(1, 2))
    await sink.write(Row, { id: 3 })
    const full = sink.write(Row, { id: 4 })
    const behind = sink.write(Note, new Note('waits its turn'))
    expect(await isPending(full)).toBe(true)
    expect(deliveries).toHaveLength(1)
    deliveries[0]?.finish()
    await full
    await behind
    expect(deliveries[1]?.rows).toEqual(rowsFrom(3, 2))
    const flushed = sink.flush()
    expect(await isPending(flushed)).toBe(true)
    deliveries[1]?.finish()
    ;(await begun(3)).finish()
    await flushed
  })

  it('delivers a batch before it exceeds its bytes, even with few rows', async () => {
    const { sink, deliveries } = bench({ batchSize: 1_000, batchBytes: 10_000 })
    const note = (length: number): Note => new Note('x'.repeat(length))
    for (const length of [4_000, 4_000, 4_000, 9_000, 10, 20]) await sink.write(Note, note(length))
    await sink.write(
      Note,
      Array.from({ length: 7 }, () => note(3_000)),
    )
    await sink.flush()
    const lengths = deliveries.map(({ rows }) => rows.map((row) => (row as Note).text.length))
    expect(lengths).toEqual([
      [4_000, 4_000],
      [4_000],
      [9_000, 10, 20],
      [3_000, 3_000, 3_000],
      [3_000, 3_000, 3_000],
      [3_000],
    ])
    expect(deliveries.map(({ batch }) => batch.index)).toEqual([0, 1, 2, 3, 4, 5])
  })

  it('refuses and names a row that alone exceeds the bytes of a batch', async () => {
    const { sink, deliveries } = bench({ batchSize: 1_000, batchBytes: 10_000 })
    const rows = [new Note('fine'), new Note('x'.repeat(10_001))]
    await expect(sink.write(Note, rows)).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: expect.stringMatching(/row 1 of Note holds about 100\d\d bytes.*raise batchBytes/) as string,
      details: { index: 1 },
    })
    await sink.write(Note, new Note('still fine'))
    await sink.flush()
    expect(deliveries.map(({ rows: delivered }) => delivered.length)).toEqual([1])
  })

  it('keeps the order of calls, even of calls that nobody awaited', async () => {
    const { sink, deliveries } = bench({ batchSize: 3 })
    void sink.write(Row, rowsFrom(1, 4))
    void sink.write(Row, { id: 5 })
    await sink.flush()
    expect(deliveries.map(({ rows }) => rows)).toEqual([rowsFrom(1, 3), rowsFrom(4, 2)])
  })

  it('holds at most the batch in delivery and one more, for any number of writers', async () => {
    const { sink, deliveries, begun } = bench({ byHand: true })
    const all = Promise.all(Array.from({ length: 20 }, (_, id) => sink.write(Row, { id })))
    for (let count = 1; count <= 10; count++) {
      const delivery = await begun(count)
      await settled()
      expect(deliveries).toHaveLength(count)
      expect(delivery.rows).toEqual(rowsFrom(count * 2 - 2, 2))
      delivery.finish()
    }
    await all
    await sink.flush()
  })

  it('refuses all rows of a call with one wrong row, with its index and the issues', async () => {
    const { sink, deliveries } = bench({ scope: { window: hourOf(1) } })
    const rows = [{ id: 1 }, { id: 2 }, { id: 'three' as unknown as number }, { id: 4 }]
    const error: unknown = await sink.write(Row, rows).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: 'sink target: row 2 of Row is wrong: id: Invalid input: expected number, received string',
      details: {
        sink: 'target',
        model: 'Row',
        index: 2,
        issues: [{ path: 'id', message: expect.any(String) as unknown }],
      },
    })
    expect((error as PikoError).cause).toBeInstanceOf(z.ZodError)
    await sink.write(Row, { id: 9 })
    await sink.flush()
    expect(deliveries.map((delivery) => delivery.rows)).toEqual([[{ id: 9 }]])
  })

  it('delivers the output of the schema', async () => {
    const Typed = z.object({ at: z.string().transform((text) => new Date(text)), shop: z.string().default('eu') })
    const delivered: unknown[] = []
    const Target = defineSink({ name: 'typed', on: [[Typed, (rows) => void delivered.push(...rows)]] })
    const sink = new BufferedSink(targetOf(Target, { batchSize: 1, batchBytes: 1_000 }, 'typed'), sinkScope())
    await sink.write(Typed, { at: '2026-01-01T00:00:00Z' })
    await sink.flush()
    expect(delivered).toEqual([{ at: new Date('2026-01-01T00:00:00Z'), shop: 'eu' }])
  })

  it('reports a schema that can only check asynchronously', async () => {
    const Slow = z.object({ id: z.number().refine(async () => true) })
    const Target = defineSink({ name: 'slow', on: [[Slow, () => {}]] })
    const sink = new BufferedSink(targetOf(Target, { batchSize: 1, batchBytes: 1_000 }, 'slow'), sinkScope())
    await expect(sink.write(Slow, { id: 1 })).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: expect.stringContaining('sink slow: row 0 of on0 could not be checked: ') as unknown,
    })
  })

  it('accepts only instances of a class model', async () => {
    const { sink } = bench()
    await expect(sink.write(Note, [new Note('a'), { text: 'b' }])).rejects.toThrow(
      'sink target: row 1 of Note is {"text":"b"}; expected an instance of Note',
    )
  })

  it('refuses a model without a handler in the sink', async () => {
    const { sink } = bench()
    await expect(sink.write(Date, new Date())).rejects.toMatchObject({
      code: 'SINK_MODEL_UNKNOWN',
      message: expect.stringContaining('sink target has no @on for Date; it takes Row, Note.') as unknown,
    })
    await expect(sink.write(Row.clone(), { id: 1 })).rejects.toThrow('sink target has no @on for this schema')
  })
})

describe('a write of many rows', () => {
  const many = (count: number): { id: number }[] => Array.from({ length: count }, (_, id) => ({ id }))

  it('is checked in turns of the event loop, keeps the list of its call, and its place among other writes', async () => {
    const { sink, deliveries } = bench({ batchSize: 200_000, batchBytes: 1_000_000_000 })
    const rows = many(100_000)
    let turned = false
    setImmediate(() => (turned = true))
    const writes = [sink.write(Row, { id: -1 }), sink.write(Row, rows), sink.write(Row, { id: -2 })]
    rows.length = 1
    await Promise.all(writes)
    expect(turned).toBe(true)
    await sink.flush()
    expect(deliveries.map((one) => one.rows)).toEqual([[{ id: -1 }, ...many(100_000), { id: -2 }]])
  })

  it('is refused as a whole, with the index of the wrong row, and fails the run unless somebody looks', async () => {
    const count = countUnhandled()
    const rows = [...many(1_777), { id: 'wrong' as unknown as number }, ...many(1_000)]
    const seen = bench()
    await expect(seen.sink.write(Row, rows)).rejects.toMatchObject({
      code: 'SINK_ROW_INVALID',
      message: expect.stringContaining('row 1777 of Row') as string,
      details: { index: 1_777 },
    })
    await seen.sink.flush()
    const large = bench({ batchBytes: 100 })
    const notes = [...many(1_500).map(() => new Note('')), new Note('x'.repeat(200))]
    await expect(large.sink.write(Note, notes)).rejects.toMatchObject({ details: { index: 1_500 } })
    const unseen = bench()
    void unseen.sink.write(Row, rows)
    await expect(unseen.sink.flush()).rejects.toMatchObject({ code: 'SINK_ROW_INVALID' })
    await settled()
    expect([count(), seen.deliveries, unseen.deliveries]).toEqual([0, [], []])
  })
})

describe('a refused write', () => {
  const wrong = { id: 'three' as unknown as number }

  it('that nobody awaited fails the run with its own error, and never the process', async () => {
    const count = countUnhandled()
    const { sink, deliveries } = bench()
    void sink.write(Row, { id: 1 })
    void sink.write(Row, wrong)
    void sink.write(Date, new Date())
    await settled()
    await expect(sink.flush()).rejects.toMatchObject({ code: 'SINK_ROW_INVALID' })
    void sink.write(Row, { id: 2 })
    await settled()
    expect([count(), deliveries]).toEqual([0, []])
  })

  it.each([
    ['awaits', async (write: Promise<void>) => void (await write.catch(() => {}))],
    [
      'tries',
      async (write: Promise<void>) => {
        try {
          await write
        } catch {
          // The handler's own error.
        }
      },
    ],
    ['gathers', async (write: Promise<void>) => void (await Promise.allSettled([write]))],
    [
      'awaits later',
      async (write: Promise<void>) => {
        await settled()
        await expect(write).rejects.toBeInstanceOf(PikoError)
      },
    ],
  ])('that the handler %s is left to the handler', async (_how, look) => {
    const count = countUnhandled()
    const { sink, deliveries } = bench()
    await look(sink.write(Row, wrong))
    await sink.write(Row, { id: 1 })
    await sink.flush()
    await settled()
    expect(deliveries.map(({ rows }) => rows)).toEqual([[{ id: 1 }]])
    expect(count()).toBe(0)
  })

  it('that the handler saw does not hide another that it did not see', async () => {
    const { sink } = bench()
    void sink.write(Row, wrong)
    await expect(sink.write(Row, wrong)).rejects.toThrow(PikoError)
    await expect(sink.flush()).rejects.toMatchObject({ code: 'SINK_ROW_INVALID' })
  })

  it('that comes during the flush also fails the run', async () => {
    const { sink, begun } = bench({ byHand: true })
    await sink.write(Row, { id: 1 })
    const flushed = sink.flush()
    const delivery = await begun(1)
    void sink.write(Row, { id: 2 })
    delivery.finish()
    await expect(flushed).rejects.toMatchObject({ code: 'STOPPED' })
  })

  it('that comes after the flush, too late to fail the run, is logged unless somebody awaits it', async () => {
    const count = countUnhandled()
    const log = new MemoryLog()
    const { sink } = bench({ scope: { log } })
    await sink.flush()
    await expect(sink.write(Row, { id: 1 })).rejects.toMatchObject({ code: 'STOPPED' })
    await settled()
    expect(log.errors).toEqual([])
    void sink.write(Row, { id: 1 })
    await settled()
    expect(log.errors).toEqual(['a sink refused rows that were written after its flush; the rows are lost'])
    expect(count()).toBe(0)
  })

  it('leaves derived promises to their owner', async () => {
    const { sink } = bench()
    const derived = sink.write(Row, wrong).finally(() => {})
    expect(derived.constructor).toBe(Promise)
    await expect(derived).rejects.toMatchObject({ code: 'SINK_ROW_INVALID' })
    await sink.flush()
  })
})

describe('a failed delivery', () => {
  const cause = new Error('disk full')

  it('is thrown as the same error by every later write and by flush, and nothing more is delivered', async () => {
    const { sink, deliveries } = bench({ byHand: true })
    await sink.write(Row, rowsFrom(1, 2))
    await sink.write(Row, { id: 3 })
    const waiting = sink.write(Row, { id: 4 })
    deliveries[0]?.fail(cause)
    const error: unknown = await waiting.catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      code: 'SINK_FAILED',
      message: 'sink target failed to deliver batch 0 of Row (2 rows): disk full',
      cause,
    })
    await expect(sink.write(Note, new Note('a'))).rejects.toBe(error)
    await expect(sink.flush()).rejects.toBe(error)
    expect(deliveries).toHaveLength(1)
  })

  it('of the last batch makes flush fail', async () => {
    const { sink, begun } = bench({ byHand: true })
    await sink.write(Row, { id: 1 })
    const flushed = sink.flush()
    ;(await begun(1)).fail(cause)
    await expect(flushed).rejects.toMatchObject({ code: 'SINK_FAILED', cause })
  })
})

describe('BufferedSink.flush', () => {
  it('includes the writes that nobody awaited, and refuses later ones', async () => {
    const { sink, deliveries } = bench({ byHand: true })
    const writes = [sink.write(Row, rowsFrom(1, 2)), sink.write(Row, rowsFrom(3, 3))]
    const flushed = sink.flush()
    await expect(sink.write(Row, { id: 9 })).rejects.toMatchObject({
      code: 'STOPPED',
      message: 'sink target: attempt 1 of run 12 is over; await every write in the handler',
    })
    let finished = 0
    while (await isPending(flushed)) deliveries[finished++]?.finish()
    await Promise.all(writes)
    expect(deliveries.map(({ rows }) => rows.length)).toEqual([2, 2, 1])
  })

  it('clears the window only for models without a row from the run', async () => {
    const empty = bench({ scope: { window: hourOf(2) } })
    await empty.sink.write(Row, [])
    const flushed = empty.sink.flush()
    expect(empty.sink.flush()).toBe(flushed)
    await flushed
    expect(empty.cleared).toMatchObject([
      { window: hourOf(2), jobId: 'orders', model: 'Row' },
      { window: hourOf(2), jobId: 'orders', model: 'Note' },
    ])

    const windowless = bench()
    await windowless.sink.flush()
    const written = bench({ scope: { window: hourOf(2) } })
    await written.sink.write(Note, new Note('a'))
    await written.sink.flush()
    expect([windowless.cleared, written.cleared]).toMatchObject([[], [{ model: 'Row' }]])
  })

  it('fails when the window cannot be cleared', async () => {
    const onClear = (): void => {
      throw new Error('locked')
    }
    const { sink } = bench({ scope: { window: hourOf(2) }, onClear })
    await expect(sink.flush()).rejects.toMatchObject({
      code: 'SINK_FAILED',
      message: 'sink target could not clear its window: locked',
    })
  })
})

describe('BufferedSink.discard', () => {
  it('drops the remaining rows, and waits for the delivery under way', async () => {
    const { sink, deliveries, cleared } = bench({ byHand: true, scope: { window: hourOf(1) } })
    await sink.write(Row, rowsFrom(1, 3))
    const waiting = sink.write(Row, { id: 4 })
    const discarded = sink.discard()
    expect(await isPending(discarded)).toBe(true)
    deliveries[0]?.finish()
    await discarded
    await expect(waiting).rejects.toMatchObject({ code: 'STOPPED' })
    await expect(sink.write(Row, { id: 5 })).rejects.toMatchObject({ code: 'STOPPED' })
    await expect(sink.flush()).rejects.toMatchObject({ code: 'STOPPED' })
    expect([deliveries.length, cleared.length]).toEqual([1, 0])
  })

  it('does not end the process because of writes that nobody awaited', async () => {
    const unhandled: unknown[] = []
    const onUnhandled = (error: unknown): void => void unhandled.push(error)
    process.on('unhandledRejection', onUnhandled)
    const { sink, deliveries } = bench({ byHand: true })
    void sink.write(Row, rowsFrom(1, 2))
    await settled()
    void sink.write(Row, rowsFrom(3, 2))
    const discarded = sink.discard()
    void sink.write(Row, { id: 5 })
    deliveries[0]?.finish()
    await discarded
    await settled()
    process.off('unhandledRejection', onUnhandled)
    expect(unhandled).toEqual([])
  })

  it('ignores a failure of the delivery under way', async () => {
    const { sink, deliveries } = bench({ byHand: true })
    await sink.write(Row, rowsFrom(1, 2))
    const discarded = sink.discard()
    deliveries[0]?.fail(new Error('disk full'))
    await discarded
  })
})

describe('an abort', () => {
  it('starts no further delivery: writes and flush throw its reason', async () => {
    const controller = new AbortController()
    const reason = new PikoError('RUN_TIMEOUT', 'too slow')
    const { sink, deliveries, cleared } = bench({
      byHand: true,
      scope: { signal: controller.signal, window: hourOf(1) },
    })
    await sink.write(Row, rowsFrom(1, 3))
    const waiting = sink.write(Row, { id: 4 })
    controller.abort(reason)
    await expect(sink.write(Row, { id: 5 })).rejects.toBe(reason)
    deliveries[0]?.finish()
    await expect(waiting).rejects.toBe(reason)
    await expect(sink.flush()).rejects.toBe(reason)
    expect([deliveries.length, cleared.length]).toEqual([1, 0])
  })
})
