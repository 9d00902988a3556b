import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest'
import { isPikoError, PikoError } from '../../src/errors.ts'
import { closeOffload, configureOffload } from '../../src/offload/pools.ts'
import { offload, type Offloaded } from '../../src/offload/offload.ts'
import { OffloadPool } from '../../src/offload/offload-pool.ts'
import type { OffloadOptions } from '../../src/offload/pool/pool-options.ts'
import { withRunSignal } from '../../src/offload/signal.ts'

type Numbers = typeof import('./modules/numbers.ts')
type Hostile = typeof import('./modules/hostile.ts')

const numbersUrl = new URL('./modules/numbers.ts', import.meta.url)
const hostileUrl = new URL('./modules/hostile.ts', import.meta.url)

const opened: OffloadPool[] = []
afterEach(async () => {
  const now = AbortSignal.abort(new Error('the test is over'))
  await Promise.all([closeOffload(now), ...opened.splice(0).map((pool) => pool.close(now))])
})

function poolOf(options: OffloadOptions): OffloadPool {
  const pool = new OffloadPool(options)
  opened.push(pool)
  return pool
}

const shared = (length: number): Int32Array<SharedArrayBuffer> => new Int32Array(new SharedArrayBuffer(4 * length))

/** Resolves once the counter in shared memory differs from `value`, without blocking. */
async function changed(memory: Int32Array<SharedArrayBuffer>, index: number, value: number): Promise<number> {
  const wait = Atomics.waitAsync(memory, index, value, 10_000)
  if ((await wait.value) === 'timed-out') throw new Error(`memory[${index}] stayed ${value} for 10 s`)
  return Atomics.load(memory, index)
}

/** A gate for `hold`: counts the calls that hold a thread, and releases them all. */
function gate() {
  const memory = shared(2)
  const held = async (count: number): Promise<void> => {
    for (let now = Atomics.load(memory, 0); now < count; now = await changed(memory, 0, now));
  }
  const open = (): void => {
    Atomics.store(memory, 1, 1)
    Atomics.notify(memory, 1)
  }
  return { memory, held, open }
}

async function failure(promise: Promise<unknown>): Promise<Error & { code?: unknown }> {
  return promise.then(
    (value) => {
      throw new Error(`expected a rejection, got ${String(value)}`)
    },
    (error: unknown) => error as Error,
  )
}

describe('calls', () => {
  const numbers = offload<Numbers>(numbersUrl)

  test('every exported function can be called in another thread, from TypeScript source', async () => {
    expect(await numbers.add(1, 2)).toBe(3)
    expect(await numbers.label(4)).toBe('4 m')
    expect(await numbers.default(4)).toBe(8)
    expect(await numbers.whereabouts()).toMatchObject({ isMainThread: false })
  })

  test('a handle behaves like an ordinary object for await, print and JSON', async () => {
    expect(await Promise.resolve(numbers)).toBe(numbers)
    expect(JSON.stringify({ numbers })).toBe('{"numbers":{}}')
    expect(Object.prototype.toString.call(numbers)).toBe('[object Object]')
    expect(numbers.add).toBe(numbers.add)
  })

  test('an unknown export is refused with the existing names', async () => {
    const wrong = numbers as unknown as { sun(): Promise<number> }
    const error = await failure(wrong.sun())
    expect(isPikoError(error, 'OFFLOAD_FAILED')).toBe(true)
    expect(error.message).toMatch(/^numbers\.ts has no exported function "sun"; it exports .*add, default, label.*sum/)
    expect(error.stack).toContain('offload.test.ts')
  })

  test('a missing module is refused with the tried paths', async () => {
    const error = await failure(offload<Numbers>(new URL('./modules/absent.ts', import.meta.url)).add(1, 2))
    expect(isPikoError(error, 'OFFLOAD_FAILED')).toBe(true)
    expect(error.message).toMatch(/tried .*absent\.ts, .*absent\.js/)
  })

  test('a module that fails to load is named, with the reason', async () => {
    const broken = offload<typeof import('./modules/broken.ts')>(new URL('./modules/broken.ts', import.meta.url))
    const error = await failure(broken.never())
    expect(isPikoError(error, 'OFFLOAD_FAILED')).toBe(true)
    expect(error.message).toMatch(/broken\.ts can't be loaded in a thread: this module fails while it loads/)
  })

  test('a URL that is not a file is refused immediately', () => {
    expect(() => offload<Numbers>('./numbers.ts')).toThrow('expected a file: URL')
  })

  test("an argument or a result that can't be cloned is refused, and the pool continues", async () => {
    const wrong = numbers as unknown as { add(a: () => void): Promise<number> }
    const argument = await failure(wrong.add(() => {}))
    const result = await failure(numbers.unclonable())
    expect(argument).toMatchObject({
      code: 'OFFLOAD_COPY',
      message:
        "an argument of add() of numbers.ts can't be copied between threads: args[0] is a function; pass plain data",
    })
    expect(result).toMatchObject({
      code: 'OFFLOAD_COPY',
      message:
        "the result of unclonable() of numbers.ts can't be copied between threads: result is a function; pass plain data",
    })
    expect(await numbers.add(1, 1)).toBe(2)
  })
})

describe('errors', () => {
  const hostile = offload<Hostile>(hostileUrl)

  test('an error keeps name, code, data and causes, and its stack shows both sides', async () => {
    const error = await failure(hostile.failWithCause())
    expect(error).toMatchObject({ name: 'RowError', message: 'row 7 is bad', code: 'BAD_ROW', row: { line: 7 } })
    expect(error.cause).toBeInstanceOf(SyntaxError)
    expect((error.cause as Error).cause).toBeInstanceOf(RangeError)
    expect(error.stack).toMatch(
      /failWithCause.*hostile\.ts:\d+[^]*at offload \(.*hostile\.ts\)\n[^]*offload\.test\.ts:\d+/,
    )
  })

  test('an AggregateError keeps its parts, a PikoError stays one, other values arrive as thrown', async () => {
    const together = (await failure(hostile.failTogether())) as AggregateError
    expect(together).toBeInstanceOf(AggregateError)
    expect(together.errors).toMatchObject([
      { name: 'TypeError', message: 'first' },
      { name: 'RowError', code: 'BAD_ROW' },
    ])
    const piko = await failure(hostile.failAsPiko())
    expect(piko).toBeInstanceOf(PikoError)
    expect(piko).toMatchObject({ code: 'RUN_FAILED', details: { shop: 'eu' } })
    expect(await failure(hostile.throwText())).toBe('plain text')
  })
})

describe('transfer', () => {
  const hostile = offload<Hostile>(hostileUrl)

  test('a copied buffer stays on this side, a transferred one does not', async () => {
    const bytes = new Uint8Array(1_000)
    expect(await hostile.length(bytes)).toBe(1_000)
    expect(bytes.byteLength).toBe(1_000)
    expect(await hostile.$with({ transfer: [bytes, bytes.buffer] }).length(bytes)).toBe(1_000)
    expect(bytes.byteLength).toBe(0)
  })

  test('a moved result arrives as the value itself and leaves the thread', async () => {
    const left = shared(2)
    const ramp = await offload<Numbers>(numbersUrl).ramp(3, left)
    expect(ramp.values).toEqual(Float64Array.of(0, 1, 2))
    if (Atomics.load(left, 1) === 0) await changed(left, 1, 0)
    expect(left[0]).toBe(0)
    expect(await hostile.fill(3)).toEqual(Uint8Array.of(7, 7, 7))
  })
})

describe('abort', () => {
  test('ends a running call and its thread, and the pool continues', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
    const counter = shared(1)
    const abort = new AbortController()
    const spinning = failure(hostile.$with({ signal: abort.signal }).spin(counter))
    await changed(counter, 0, 0)
    const reason = new Error('enough')
    abort.abort(reason)
    expect(await spinning).toBe(reason)
    expect(await hostile.length(new Uint8Array(3))).toBe(3)
    const before = Atomics.load(counter, 0)
    expect(await hostile.length(new Uint8Array(4))).toBe(4)
    expect(Atomics.load(counter, 0)).toBe(before)
  })

  test('ends a running call, and the next one gets a new thread', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
    const counter = shared(1)
    const abort = new AbortController()
    const spinning = failure(hostile.$with({ signal: abort.signal }).spin(counter))
    const next = hostile.length(new Uint8Array(3))
    await changed(counter, 0, 0)
    abort.abort(new Error('enough'))
    expect((await spinning).message).toBe('enough')
    expect(await next).toBe(3)
  })

  test('drops a waiting call, which never reaches a thread and keeps its buffer', async () => {
    const pool = poolOf({ size: 1 })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const { memory, held, open } = gate()
    const running = hostile.hold(memory, 'first')
    await held(1)
    const abort = new AbortController()
    const bytes = new Uint8Array(8)
    const waiting = failure(hostile.$with({ signal: abort.signal, transfer: [bytes] }).hold(memory, bytes))
    expect(pool.stats).toMatchObject({ size: 1, running: 1, waiting: 1 })
    abort.abort(new Error('changed my mind'))
    expect((await waiting).message).toBe('changed my mind')
    expect(pool.stats).toMatchObject({ size: 1, running: 1, waiting: 0 })
    open()
    expect(await running).toBe('first')
    expect(await hostile.length(new Uint8Array(1))).toBe(1)
    expect(memory[0]).toBe(1)
    expect(bytes.byteLength).toBe(8)
  })

  test('a signal that aborted before the call starts nothing', async () => {
    const pool = poolOf({ size: 1 })
    const reason = new Error('too late')
    const call = offload<Hostile>(hostileUrl, { pool })
      .$with({ signal: AbortSignal.abort(reason) })
      .length(new Uint8Array(1))
    expect(await failure(call)).toBe(reason)
    expect(pool.stats.running).toBe(0)
  })

  test('the ambient signal applies automatically, across awaits, together with the explicit one', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 2 }) })
    const run = new AbortController()
    const counter = shared(1)
    const explicit = new AbortController()
    const [plain, joined] = withRunSignal(run, () => [
      failure(turn().then(() => hostile.spin(counter))),
      failure(turn().then(() => hostile.$with({ signal: explicit.signal }).spin(shared(1)))),
    ])
    await changed(counter, 0, 0)
    explicit.abort(new Error('explicit'))
    expect((await joined)?.message).toBe('explicit')
    run.abort(new Error('run was cancelled'))
    expect((await plain)?.message).toBe('run was cancelled')
  })
})

describe('a thread that dies', () => {
  test('fails only its call, by exit, by an uncaught error or by lack of memory, and the pool continues', async () => {
    const pool = poolOf({ size: 1, memory: '24MB' })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const deaths = [
      [hostile.exit(3), 'OFFLOAD_EXIT', 'the thread that ran exit() of hostile.ts ended: worker exited with code: 3'],
      [hostile.throwLater(), 'OFFLOAD_CRASHED', /throwLater\(\) of hostile.ts ended: RangeError: from a timer$/],
      [hostile.devour(), 'OFFLOAD_MEMORY', /devour\(\) of hostile\.ts ended: .*memory.* or offload smaller pieces$/],
      [hostile.devourBuffers(), 'OFFLOAD_MEMORY', /devourBuffers\(\) of hostile\.ts ended: it used \d+ MB of memory/],
    ] as const
    const after = hostile.length(new Uint8Array(5))
    const errors = await Promise.all(deaths.map(([call]) => failure(call)))
    errors.forEach((error, index) => {
      expect(error).toMatchObject({ code: deaths[index]![1] })
      expect(error.message).toMatch(deaths[index]![2])
    })
    expect(await after).toBe(5)
  })
})

describe("errors that come late or can't be read", () => {
  test('an error of a call after its reply does not fail the next call of its thread', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
    const gate = shared(1)
    expect(await hostile.throwAfterwards(gate)).toBe('answered')
    expect(await hostile.answerAfter(gate)).toBe('innocent')
  })

  test.each(['message', 'stack', 'name', 'cause', 'code', 'errors'])(
    'an error whose %s throws arrives',
    async (field) => {
      const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
      const error = await failure(hostile.throwHostile(field))
      expect(error).toBeInstanceOf(Error)
      expect(error.message).toMatch(field === 'message' ? /^\(its message can't be read/ : /^hidden$/)
      expect(await hostile.length(new Uint8Array(2))).toBe(2)
    },
  )

  test('a thrown proxy, a result that throws and 100,000 errors in one fail only their own calls', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
    expect(await failure(hostile.throwUntouchable())).toBeDefined()
    expect(await failure(hostile.returnHostile())).toMatchObject({
      code: 'OFFLOAD_COPY',
      details: { path: 'result.bad' },
    })
    const many = (await failure(hostile.failByThousands())) as AggregateError
    expect(many.errors).toHaveLength(11)
    expect(many.errors.at(-1)).toBe('and 99990 more errors')
    expect(await hostile.length(new Uint8Array(2))).toBe(2)
  })
})

describe('the queue', () => {
  test('at most one call runs per thread, and the others wait', async () => {
    const pool = poolOf({ size: 2 })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const { memory, held, open } = gate()
    const calls = Array.from({ length: 50 }, (_, index) => hostile.hold(memory, index))
    await held(2)
    expect(pool.stats).toMatchObject({ size: 2, running: 2, waiting: 48 })
    expect(memory[0]).toBe(2)
    open()
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 50 }, (_, index) => index))
    expect(pool.stats).toMatchObject({ size: 2, running: 0, waiting: 0 })
  })

  test('no call starves while others arrive', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 3 }) })
    const { memory, held, open } = gate()
    const first = Promise.all(Array.from({ length: 3 }, () => hostile.hold(memory, 0)))
    await held(3)
    const counter = shared(1)
    const calls = Array.from({ length: 2_000 }, () => hostile.ticket(counter))
    open()
    await first
    // A thread with a call may have to wait for a processor; a starved call would come last.
    for (const [index, ticket] of (await Promise.all(calls)).entries())
      expect(Math.abs(ticket - index)).toBeLessThan(1_000)
  })

  test('waiting calls run in the order in which they were made', async () => {
    const hostile = offload<Hostile>(hostileUrl, { pool: poolOf({ size: 1 }) })
    const { memory, held, open } = gate()
    const first = hostile.hold(memory, undefined)
    await held(1)
    const order: number[] = []
    const lengths = Array.from({ length: 20 }, (_, length) => length)
    // Every second call can be aborted, and the two kinds must not overtake each other.
    const calls = lengths.map(async (length) => {
      const functions = length % 2 === 0 ? hostile : hostile.$with({ signal: new AbortController().signal })
      order.push(await functions.length(new Uint8Array(length)))
    })
    open()
    await Promise.all([first, ...calls])
    expect(order).toEqual(lengths)
  })
})

describe('closing', () => {
  test('waits for the calls under way, refuses new ones meanwhile, and opens again with a later call', async () => {
    const pool = poolOf({ size: 1 })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const { memory, held, open } = gate()
    const calls = [hostile.hold(memory, 'running'), hostile.hold(memory, 'waiting')]
    await held(1)
    let isClosed = false
    const closed = pool.close().then(() => (isClosed = true))
    const refused = await failure(hostile.length(new Uint8Array(1)))
    expect(isPikoError(refused, 'STOPPED')).toBe(true)
    expect(isClosed).toBe(false)
    open()
    await closed
    expect(await Promise.all(calls)).toEqual(['running', 'waiting'])
    expect(await hostile.length(new Uint8Array(2))).toBe(2)
  })

  test('with a signal it ends running and waiting calls with the reason, even when it was already waiting', async () => {
    const pool = poolOf({ size: 1 })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const counter = shared(1)
    const calls = [failure(hostile.spin(counter)), failure(hostile.length(new Uint8Array(1)))]
    await changed(counter, 0, 0)
    const patient = pool.close()
    const reason = new PikoError('STOPPED', 'time is up')
    await pool.close(AbortSignal.abort(reason))
    await patient
    expect(await Promise.all(calls)).toEqual([reason, reason])
    const before = Atomics.load(counter, 0)
    await turn()
    expect(Atomics.load(counter, 0)).toBe(before)
  })

  test('a pool that never opened closes immediately', async () => {
    await new OffloadPool().close()
  })
})

describe('configuration', () => {
  test('wrong options are refused with the value', () => {
    expect(() => new OffloadPool({ size: 0 })).toThrow('size is 0; expected a whole number from 1 to 1024')
    const wrong = { idleTimeout: '-1s', memory: '1MB', share: 2, recycle: { calls: 0 } } as unknown as OffloadOptions
    expect(() => configureOffload(wrong)).toThrow(
      /offload has 4 problems:\n {2}memory is "1MB"; expected .* such as "256MB", from 8MB\n[^]*idleTimeout is "-1s"[^]*recycle has a problem: calls is 0[^]*share is 2/,
    )
    expect(() => new OffloadPool({ resourceLimits: { maxOldGenerationSizeMb: 1 } })).toThrow(
      'resourceLimits has a problem: maxOldGenerationSizeMb is 1; expected a number from 8',
    )
  })

  test('a new configuration applies to later calls; earlier ones finish on their threads', async () => {
    const pool = poolOf({ size: 1 })
    const hostile = offload<Hostile>(hostileUrl, { pool })
    const { memory, held, open } = gate()
    const earlier = hostile.hold(memory, 'earlier')
    await held(1)
    pool.configure({ size: 2 })
    const later = [hostile.hold(memory, 'a'), hostile.hold(memory, 'b')]
    await held(3)
    expect(pool.stats).toMatchObject({ size: 2, running: 3, waiting: 0 })
    open()
    expect(await Promise.all([earlier, ...later])).toEqual(['earlier', 'a', 'b'])
  })

  test('an idle thread ends after its time, and the module loads again', async () => {
    const numbers = offload<Numbers>(numbersUrl, { pool: poolOf({ size: 1, idleTimeout: '0s' }) })
    const first = await numbers.whereabouts()
    await expect.poll(async () => (await numbers.whereabouts()).threadId).not.toBe(first.threadId)
  })

  test('handles declared earlier share the process pool and follow its configuration', async () => {
    const numbers = offload<Numbers>(numbersUrl)
    const hostile = offload<Hostile>(hostileUrl)
    configureOffload({ size: 1 })
    const { memory, held, open } = gate()
    const held1 = hostile.hold(memory, 'x')
    await held(1)
    let isAdded = false
    const added = numbers.add(1, 2).then(() => (isAdded = true))
    await turn()
    expect(isAdded).toBe(false)
    open()
    await Promise.all([held1, added])
  })
})

describe('types', () => {
  test('every function is async, with its own parameters and its awaited, unwrapped result', () => {
    expectTypeOf<Offloaded<Numbers>['add']>().toEqualTypeOf<(a: number, b: number) => Promise<number>>()
    expectTypeOf<Offloaded<Numbers>['label']>().returns.toEqualTypeOf<Promise<string>>()
    expectTypeOf<Offloaded<Numbers>['ramp']>().returns.resolves.toEqualTypeOf<{ values: Float64Array<ArrayBuffer> }>()
    expectTypeOf<Offloaded<Hostile>['exit']>().returns.toEqualTypeOf<Promise<never>>()
    expectTypeOf<Offloaded<{ any: (x: boolean) => boolean }>['any']>().returns.toEqualTypeOf<Promise<boolean>>()
  })

  test('constants and classes are left out, and wrong calls are compile errors', () => {
    expectTypeOf<keyof Offloaded<Numbers>>().toEqualTypeOf<
      'add' | 'label' | 'whereabouts' | 'sum' | 'ramp' | 'unclonable' | 'default'
    >()
    const check = (numbers: ReturnType<typeof offload<Numbers>>): unknown[] => [
      // @ts-expect-error no such export
      numbers.nope,
      // @ts-expect-error a constant is no function
      numbers.version,
      // @ts-expect-error a class is no function
      numbers.Machine,
      // @ts-expect-error the parameters are the module's
      numbers.add('1', 2),
      // @ts-expect-error an option with another name
      numbers.$with({ transfers: [] }),
    ]
    expect(check).toBeTypeOf('function')
  })
})
