import { describe, expect, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { Resource, type ResourceClass, type ResourceContext, type ResourceMap } from '../../src/resource/resource.ts'
import { MemoryLog, resourceContext } from './resource-context.ts'

interface Hooks {
  readonly size?: number
  readonly acquiring?: (ctx: ResourceContext) => Promise<void> | void
  readonly returning?: (error: Error | undefined) => void
}

/** A resource that records how it is borrowed. */
function noted(
  events: string[],
  name: string,
  { size = Infinity, acquiring, returning }: Hooks = {},
): ResourceClass<string> {
  return defineResource({
    name,
    size,
    acquire: async function* (ctx) {
      await acquiring?.(ctx)
      events.push(`+${name}`)
      let failure: Error | undefined
      try {
        yield `${name} of run ${ctx.runId}`
      } catch (error) {
        failure = error as Error
        throw error
      } finally {
        events.push(failure ? `-${name} (${failure.message})` : `-${name}`)
        returning?.(failure)
      }
    },
    close: async () => void events.push(`close ${name}`),
  })
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open: () => open() }
}

describe('ResourcePool.borrow', () => {
  it('creates one instance per class, on first use', async () => {
    let made = 0
    class Db extends Resource<number> {
      readonly #id = ++made
      async *acquire(): AsyncGenerator<number, void, void> {
        yield this.#id
      }
    }
    const pool = new ResourcePool()
    expect(made).toBe(0)
    const first = await pool.borrow({ db: Db }, resourceContext())
    const second = await pool.borrow({ other: Db }, resourceContext())
    expect([first.values, second.values]).toEqual([{ db: 1 }, { other: 1 }])
    expect(pool.stats()).toMatchObject([{ name: 'Db', size: Infinity, borrowed: 2, waiting: 0 }])
  })

  it('returns in reverse order', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const map = { a: noted(events, 'a'), b: noted(events, 'b'), c: noted(events, 'c') }
    const { values, release } = await pool.borrow(map, resourceContext({ runId: 7 }))
    expect(values).toEqual({ a: 'a of run 7', b: 'b of run 7', c: 'c of run 7' })
    const again = release({ ok: true })
    expect(release({ ok: false, error: new Error('late') })).toBe(again)
    await again
    expect(events).toEqual(['+a', '+b', '+c', '-c', '-b', '-a'])
    expect(pool.stats().map(({ borrowed }) => borrowed)).toEqual([0, 0, 0])
  })

  it('uses the same order for every run, whatever the order of its map', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const [a, b] = [noted(events, 'a', { size: 1 }), noted(events, 'b', { size: 1 })]
    await (await pool.borrow({ a, b }, resourceContext())).release({ ok: true })
    events.length = 0
    await (await pool.borrow({ b, a }, resourceContext())).release({ ok: true })
    expect(events).toEqual(['+a', '+b', '-b', '-a'])
  })

  it('does not deadlock when runs borrow the same two single resources in opposite orders', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const slow = { size: 1, acquiring: settled }
    const [a, b] = [noted(events, 'a', slow), noted(events, 'b', slow)]
    const run = async (map: ResourceMap): Promise<void> => {
      const { release } = await pool.borrow(map, resourceContext())
      await settled()
      await release({ ok: true })
    }
    await Promise.all(Array.from({ length: 20 }, (_, index) => run(index % 2 ? { a, b } : { b, a })))
    expect(events).toHaveLength(80)
  })

  it('lends at most `size` at the same time, first in first out', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const map = { db: noted(events, 'db', { size: 2 }) }
    const [first, second] = await Promise.all([1, 2].map((runId) => pool.borrow(map, resourceContext({ runId }))))
    const order: number[] = []
    const rest = [3, 4, 5].map(async (runId) => {
      const borrowed = await pool.borrow(map, resourceContext({ runId }))
      order.push(runId)
      await borrowed.release({ ok: true })
    })
    await settled()
    expect(order).toEqual([])
    expect(pool.stats()).toMatchObject([{ name: 'db', size: 2, borrowed: 2, waiting: 3 }])
    await first?.release({ ok: true })
    await Promise.all(rest)
    expect(order).toEqual([3, 4, 5])
    await second?.release({ ok: true })
  })

  it('takes all slots of one class together, so runs that borrow it twice cannot starve each other', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const Db = noted(events, 'db', { size: 2, acquiring: settled })
    const run = async (): Promise<void> =>
      (await pool.borrow({ from: Db, to: Db }, resourceContext())).release({ ok: true })
    await Promise.all([run(), run(), run()])
    expect(events).toHaveLength(12)
    await expect(pool.borrow({ a: Db, b: Db, c: Db }, resourceContext())).rejects.toMatchObject({
      code: 'RESOURCE_INVALID',
      message:
        'resource db: one run borrows 3 of it at the same time, and its size is 2; expected a size of at least 3',
    })
  })

  it('queues for every slot before it acquires the first value', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const [trx, api] = [noted(events, 'trx'), noted(events, 'api', { size: 1 })]
    const holder = await pool.borrow({ api }, resourceContext())
    await (await pool.borrow({ trx }, resourceContext())).release({ ok: true })
    events.length = 0
    const queued = pool.borrow({ trx, api }, resourceContext())
    await settled()
    expect(events).toEqual([])
    await holder.release({ ok: true })
    await (await queued).release({ ok: true })
  })

  it('returns the first two with the error when the third fails, and names the third', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const cause = new Error('no route to host')
    const c = noted(events, 'c', {
      size: 1,
      acquiring: () => {
        throw cause
      },
    })
    const map = { a: noted(events, 'a', { size: 1 }), b: noted(events, 'b', { size: 1 }), c }
    for (let attempt = 1; attempt <= 2; attempt++) {
      events.length = 0
      const error: unknown = await pool.borrow(map, resourceContext()).catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(PikoError)
      expect(error).toMatchObject({ code: 'RESOURCE_FAILED', cause, details: { resource: 'c' } })
      const message = 'resource c could not be acquired: no route to host'
      expect(events).toEqual(['+a', '+b', `-b (${message})`, `-a (${message})`])
    }
    expect(pool.stats().map(({ borrowed }) => borrowed)).toEqual([0, 0, 0])
  })

  it('frees the slots of values that it never acquired', async () => {
    const pool = new ResourcePool()
    const acquiring = (): void => {
      throw new Error('refused')
    }
    const map = { a: noted([], 'a', { acquiring }), b: noted([], 'b', { size: 1 }) }
    await expect(pool.borrow(map, resourceContext())).rejects.toThrow('refused')
    expect(pool.stats()).toMatchObject([{ borrowed: 0 }, { borrowed: 0 }])
  })

  it('logs errors of the return, and keeps the first error', async () => {
    const events: string[] = []
    const log = new MemoryLog()
    const pool = new ResourcePool()
    const fail = (message: string) => () => {
      throw new Error(message)
    }
    const map = {
      a: noted(events, 'a'),
      b: noted(events, 'b', { returning: fail('b is stuck') }),
      c: noted(events, 'c', { acquiring: fail('refused') }),
    }
    await expect(pool.borrow(map, resourceContext({ log }))).rejects.toThrow(
      'resource c could not be acquired: refused',
    )
    expect(log.errors).toEqual(['resource b failed when it was returned: b is stuck'])
    expect(events.at(-1)).toMatch(/^-a/)
  })

  it.each<[string, () => unknown, string]>([
    ['ends before its yield', async function* () {}, 'acquire ended without a yield; expected exactly one'],
    [
      'is no generator',
      async () => Promise.reject(new Error('unseen')),
      'acquire returned a promise; expected an async generator',
    ],
    ['returns nothing', () => undefined, 'acquire returned undefined; expected an async generator'],
  ])('refuses a resource whose acquire %s, and frees its slot', async (_what, acquire, message) => {
    class Broken extends Resource<unknown> {
      static override readonly size = 1
      override acquire = acquire as () => AsyncGenerator<unknown, void, void>
    }
    const pool = new ResourcePool()
    for (let attempt = 1; attempt <= 2; attempt++) {
      await expect(pool.borrow({ broken: Broken }, resourceContext())).rejects.toThrow(
        `resource Broken could not be acquired: ${message}`,
      )
    }
  })

  it('refuses a value that is not a resource class, such as an undefined import of a cycle', async () => {
    const pool = new ResourcePool()
    const map = { db: undefined } as unknown as ResourceMap
    await expect(pool.borrow(map, resourceContext())).rejects.toThrow(
      'resource db: it is undefined; expected a subclass',
    )
    class Sized extends Resource<never> {
      static override readonly size = 0
      async *acquire(): AsyncGenerator<never, void, void> {}
    }
    await expect(pool.borrow({ db: Sized }, resourceContext())).rejects.toThrow('resource Sized: size is 0')
  })

  it('creates an instance again for the next run when the constructor failed', async () => {
    let tries = 0
    class Db extends Resource<number> {
      readonly #try = ++tries
      constructor() {
        super()
        if (tries === 1) throw new Error('no dsn')
      }
      async *acquire(): AsyncGenerator<number, void, void> {
        yield this.#try
      }
    }
    const pool = new ResourcePool()
    await expect(pool.borrow({ db: Db }, resourceContext())).rejects.toThrow('resource Db could not be created: no dsn')
    expect((await pool.borrow({ db: Db }, resourceContext())).values).toEqual({ db: 2 })
  })
})

describe('an abort', () => {
  const reason = new PikoError('RUN_TIMEOUT', 'run 1 took longer than 1s')

  it('ends the wait for slots with its reason; a run that waits holds none', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const [a, b] = [noted(events, 'a', { size: 1 }), noted(events, 'b', { size: 1 })]
    await (await pool.borrow({ a, b }, resourceContext())).release({ ok: true })
    const holder = await pool.borrow({ b }, resourceContext())
    const controller = new AbortController()
    const waiting = pool.borrow({ a, b }, resourceContext({ signal: controller.signal }))
    await settled()
    expect(pool.stats().map(({ borrowed, waiting }) => [borrowed, waiting])).toEqual([
      [0, 1],
      [1, 1],
    ])
    controller.abort(reason)
    await expect(waiting).rejects.toBe(reason)
    expect(pool.stats().map(({ borrowed, waiting }) => [borrowed, waiting])).toEqual([
      [0, 0],
      [1, 0],
    ])
    await holder.release({ ok: true })
  })

  it('ends the wait for acquire; the late value is returned, and only then is its slot free', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const { opened, open } = gate()
    const [a, b] = [noted(events, 'a'), noted(events, 'b', { size: 1, acquiring: () => opened })]
    const controller = new AbortController()
    const borrowing = pool.borrow({ a, b }, resourceContext({ signal: controller.signal }))
    await settled()
    controller.abort(reason)
    await expect(borrowing).rejects.toBe(reason)
    expect(events).toEqual(['+a', `-a (${reason.message})`])
    expect(pool.stats()[1]).toMatchObject({ name: 'b', borrowed: 1 })
    let closed = false
    const closing = pool.close().then(() => (closed = true))
    await settled()
    expect(closed).toBe(false)
    open()
    await closing
    expect(events.slice(2)).toEqual(['+b', `-b (${reason.message})`, 'close b', 'close a'])
  })

  it('logs errors of the return of a late value', async () => {
    const log = new MemoryLog()
    const pool = new ResourcePool()
    const { opened, open } = gate()
    const returning = (): void => {
      throw new Error('cannot roll back')
    }
    const map = { db: noted([], 'db', { acquiring: () => opened, returning }) }
    const controller = new AbortController()
    const borrowing = pool.borrow(map, resourceContext({ signal: controller.signal, log }))
    await settled()
    controller.abort(reason)
    await expect(borrowing).rejects.toBe(reason)
    open()
    await pool.close()
    expect(log.errors).toEqual(['resource db failed when it was returned: cannot roll back'])
  })

  it('is also the error when acquire itself stops because of it', async () => {
    const pool = new ResourcePool()
    const controller = new AbortController()
    const acquiring = ({ signal }: ResourceContext): Promise<void> =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('request aborted'))))
    const borrowing = pool.borrow(
      { db: noted([], 'db', { size: 1, acquiring }) },
      resourceContext({ signal: controller.signal }),
    )
    await settled()
    controller.abort(reason)
    await expect(borrowing).rejects.toBe(reason)
    await pool.close()
    expect(pool.stats()).toMatchObject([{ borrowed: 0 }])
  })

  it('before the start touches no resource', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    await expect(
      pool.borrow({ a: noted(events, 'a') }, resourceContext({ signal: AbortSignal.abort(reason) })),
    ).rejects.toBe(reason)
    expect(events).toEqual([])
  })
})

describe('Borrowed.release', () => {
  it('resumes every generator with the run’s error; it may throw the same error again, or none', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const Swallows = defineResource({
      name: 'swallows',
      acquire: async function* () {
        try {
          yield 1
        } catch (error) {
          events.push(`caught ${(error as Error).message}`)
        }
      },
    })
    const { release } = await pool.borrow({ a: noted(events, 'a'), s: Swallows }, resourceContext())
    await release({ ok: false, error: new Error('bad page') })
    expect(events).toEqual(['+a', 'caught bad page', '-a (bad page)'])
  })

  it('reports another error after a failure, and still returns the others', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const cause = new Error('connection lost')
    const returning = (): void => {
      throw cause
    }
    const map = { a: noted(events, 'a', { size: 1 }), b: noted(events, 'b', { size: 1, returning }) }
    const { release } = await pool.borrow(map, resourceContext())
    await expect(release({ ok: false, error: new Error('bad page') })).rejects.toMatchObject({
      code: 'RESOURCE_FAILED',
      message: 'resource b failed when it was returned: connection lost',
      cause,
    })
    expect(events).toEqual(['+a', '+b', '-b (bad page)', '-a (bad page)'])
    expect(pool.stats().map(({ borrowed }) => borrowed)).toEqual([0, 0])
  })

  it('fails the run when a commit fails, and makes the outer resources roll back', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const returning = (): void => {
      throw new Error('commit refused')
    }
    const map = { outer: noted(events, 'outer'), inner: noted(events, 'inner', { returning }) }
    const { release } = await pool.borrow(map, resourceContext())
    const message = 'resource inner failed when it was returned: commit refused'
    await expect(release({ ok: true })).rejects.toThrow(message)
    expect(events).toEqual(['+outer', '+inner', '-inner', `-outer (${message})`])
  })

  it('collects several errors', async () => {
    const pool = new ResourcePool()
    const fail = (message: string) => () => {
      throw new Error(message)
    }
    const map = { a: noted([], 'a', { returning: fail('one') }), b: noted([], 'b', { returning: fail('two') }) }
    const { release } = await pool.borrow(map, resourceContext())
    const error = await release({ ok: false, error: new Error('run') }).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'RESOURCE_FAILED' })
    expect(((error as PikoError).cause as AggregateError).errors.map((each: Error) => each.message)).toEqual([
      'resource b failed when it was returned: two',
      'resource a failed when it was returned: one',
    ])
  })

  it.each<['ok' | 'failed', boolean]>([
    ['ok', true],
    ['failed', false],
  ])('refuses a second yield after a run that is %s, and ends the generator', async (_name, ok) => {
    const events: string[] = []
    const Twice = defineResource({
      name: 'twice',
      size: 1,
      acquire: async function* () {
        try {
          for (;;) {
            try {
              yield 1
            } catch {
              events.push('caught')
            }
          }
        } finally {
          events.push('cleaned up')
        }
      },
    })
    const pool = new ResourcePool()
    const { release } = await pool.borrow({ twice: Twice }, resourceContext())
    const message =
      'resource twice failed when it was returned: acquire yielded a second time; expected exactly one yield'
    await expect(release(ok ? { ok } : { ok, error: new Error('run') })).rejects.toThrow(message)
    expect(events.at(-1)).toBe('cleaned up')
    expect(pool.stats()).toMatchObject([{ borrowed: 0 }])
  })
})

describe('ResourcePool.close', () => {
  it('waits for borrowers, rejects waiters, then closes the newest first, once', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const [a, b] = [noted(events, 'a', { size: 1 }), noted(events, 'b', { size: 1 })]
    const holder = await pool.borrow({ a, b }, resourceContext())
    const waiting = pool.borrow({ a }, resourceContext())
    const closing = pool.close()
    expect(pool.close()).toBe(closing)
    await expect(waiting).rejects.toMatchObject({ code: 'STOPPED' })
    await expect(pool.borrow({ a }, resourceContext())).rejects.toMatchObject({ code: 'STOPPED' })
    expect(events).toEqual(['+a', '+b'])
    await holder.release({ ok: true })
    await closing
    expect(events).toEqual(['+a', '+b', '-b', '-a', 'close b', 'close a'])
  })

  it('rejects a run that has one of its two slots, and does not wait for it', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    const [a, b] = [noted(events, 'a', { size: 1 }), noted(events, 'b', { size: 1 })]
    await (await pool.borrow({ a, b }, resourceContext())).release({ ok: true })
    const holder = await pool.borrow({ b }, resourceContext())
    const half = pool.borrow({ a, b }, resourceContext())
    const closing = pool.close()
    await expect(half).rejects.toMatchObject({ code: 'STOPPED' })
    await holder.release({ ok: true })
    await closing
  })

  it('waits only until its signal aborts', async () => {
    const events: string[] = []
    const pool = new ResourcePool()
    await pool.borrow({ a: noted(events, 'a') }, resourceContext())
    const controller = new AbortController()
    const closing = pool.close(controller.signal)
    await settled()
    expect(events).toEqual(['+a'])
    controller.abort()
    await closing
    expect(events).toEqual(['+a', 'close a'])

    const late = new ResourcePool()
    await late.borrow({ b: noted(events, 'b') }, resourceContext())
    await late.close(AbortSignal.abort())
    expect(events.slice(2)).toEqual(['+b', 'close b'])
  })

  it('closes every resource even if some fail, and names those', async () => {
    const closed: string[] = []
    const failing = (name: string, message?: string): ResourceClass<number> =>
      defineResource({
        name,
        open: () => 1,
        acquire: async function* () {
          yield 1
        },
        close: async () => {
          closed.push(name)
          if (message) throw new Error(message)
        },
      })
    const pool = new ResourcePool()
    const map = { a: failing('a', 'one'), b: failing('b'), c: failing('c', 'two') }
    await (await pool.borrow(map, resourceContext())).release({ ok: true })
    await expect(pool.close()).rejects.toMatchObject({
      code: 'RESOURCE_FAILED',
      message: 'resource c failed to close: two; resource a failed to close: one',
    })
    expect(closed).toEqual(['c', 'b', 'a'])
  })
})

describe('ResourcePool.check', () => {
  it('checks every instance and names those that are not ready', async () => {
    const checking = (name: string, problem?: string): ResourceClass<number> =>
      defineResource({
        name,
        acquire: async function* () {
          yield 1
        },
        check: async () => {
          if (problem) throw new Error(problem)
        },
      })
    const pool = new ResourcePool()
    await pool.borrow({ a: checking('a') }, resourceContext())
    await pool.check()
    await pool.borrow({ b: checking('b', 'gone') }, resourceContext())
    await expect(pool.check()).rejects.toMatchObject({
      code: 'RESOURCE_FAILED',
      message: 'resource b is not ready: gone',
    })
  })
})
