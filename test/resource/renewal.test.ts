import { expect, it, onTestFinished } from 'vitest'
import { defineResource } from '../../src/resource/define-resource.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import type { ResourceObserver } from '../../src/resource/resource-state.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually } from '../support/app.ts'
import { resourceContext } from './resource-context.ts'

/** A server that can be down, and a resource that connects to it. */
function server(options: { readonly maxLifetime?: '1m'; readonly acquireTimeout?: '10s' } = {}) {
  const state = { opened: 0, closed: [] as number[], isUp: true, isHanging: false, checks: 0 }
  const Db = defineResource({
    name: 'db',
    size: 2,
    checkEvery: '5s',
    ...options,
    open: () => {
      if (!state.isUp) throw new Error('connection refused')
      return ++state.opened
    },
    acquire: async function* (_ctx, opened) {
      if (!state.isUp) throw new Error('connection lost')
      yield opened
    },
    check: () => {
      state.checks += 1
      if (state.isHanging) return new Promise<never>(() => {})
      if (!state.isUp) throw new Error('gone away')
      return undefined
    },
    close: (opened) => void state.closed.push(opened),
  })
  return { state, Db }
}

function manualPool() {
  const clock = new ManualClock()
  const told: string[] = []
  const observer: ResourceObserver = {
    lost: (resource, error) => told.push(`${resource} lost: ${error.message}`),
    recovered: (resource, ms, tries) => told.push(`${resource} back after ${ms} ms and ${tries} tries`),
    waited: () => {},
  }
  const pool = new ResourcePool({ clock, observer: () => observer, random: () => 0 })
  onTestFinished(() => pool.close(AbortSignal.abort()))
  /** Advances the clock until the assertions hold. */
  const passing = (assertions: () => unknown, stepMs = 250): Promise<unknown> =>
    eventually(() => {
      clock.advance(stepMs)
      return assertions()
    })
  return { pool, clock, told, passing }
}

it('a failed check renews the resource: new borrowers wait for it, old ones keep theirs, readiness shows the gap', async () => {
  const { pool, told, passing } = manualPool()
  const { state, Db } = server()
  const old = await pool.borrow({ db: Db }, resourceContext({ runId: 1 }))
  expect(old.values).toEqual({ db: 1 })
  state.isUp = false
  await passing(() => expect(told).toEqual(['db lost: gone away']))
  const waiting = pool.borrow({ db: Db }, resourceContext({ runId: 2 }))
  await eventually(() =>
    expect(pool.stats()).toMatchObject([{ state: 'lost', error: 'gone away', waiting: 1, borrowed: 1 }]),
  )
  await eventually(() =>
    expect(pool.check()).rejects.toThrow(
      /^resource db is not ready: gone away; lost .* ago, \d failed tr(?:y|ies) to open it again/,
    ),
  )
  state.isUp = true
  await passing(() => expect(pool.stats()).toMatchObject([{ state: 'open' }]))
  const next = await waiting
  expect(next.values).toEqual({ db: 2 })
  expect(told).toHaveLength(2)
  expect(told[1]).toMatch(/^db back after \d+ ms and \d tries$/)
  await pool.check()
  expect(state.closed).toEqual([])
  await old.release({ ok: true })
  await eventually(() => expect(state.closed).toEqual([1]))
  await next.release({ ok: true })
  expect(pool.stats()).toMatchObject([{ state: 'open', renewals: 1, borrowed: 0, waiting: 0 }])
})

it('a run that finds the resource broken waits for the next instance, ahead of later runs, and holds nothing meanwhile', async () => {
  const { pool, passing } = manualPool()
  const { state, Db } = server()
  const other: string[] = []
  const Other = defineResource({
    name: 'other',
    size: 1,
    acquire: async function* (ctx) {
      other.push(`+${ctx.runId}`)
      try {
        yield ctx.runId
      } finally {
        other.push(`-${ctx.runId}`)
      }
    },
  })
  await (await pool.borrow({ other: Other, db: Db }, resourceContext())).release({ ok: true })
  other.length = 0
  state.isUp = false
  const order: number[] = []
  const borrow = async (runId: number): Promise<void> => {
    const borrowed = await pool.borrow({ db: Db, other: Other }, resourceContext({ runId }))
    order.push(runId)
    await borrowed.release({ ok: true })
  }
  const first = borrow(1)
  await eventually(() => expect(pool.stats()).toMatchObject([{ borrowed: 0, waiting: 1 }, { state: 'lost' }]))
  expect(other).toEqual(['+1', '-1'])
  const second = borrow(2)
  // What needs only the other resource is not held up.
  await (await pool.borrow({ other: Other }, resourceContext({ runId: 3 }))).release({ ok: true })
  state.isUp = true
  await passing(() => expect(order).toHaveLength(2))
  await Promise.all([first, second])
  expect(order).toEqual([1, 2])
})

it('a failure of acquire that the check can not confirm fails only its own run', async () => {
  const { pool, told } = manualPool()
  const Picky = defineResource({
    name: 'picky',
    acquire: async function* (ctx) {
      if (ctx.runId === 1) throw new Error('no such schema')
      yield ctx.runId
    },
    check: () => true,
  })
  await expect(pool.borrow({ picky: Picky }, resourceContext({ runId: 1 }))).rejects.toMatchObject({
    code: 'RESOURCE_FAILED',
    message: 'resource picky could not be acquired: no such schema',
  })
  await (await pool.borrow({ picky: Picky }, resourceContext({ runId: 2 }))).release({ ok: true })
  expect(told).toEqual([])
})

it('maxLifetime renews without a gap, and continues with the old instance while no other opens', async () => {
  const { pool, told, passing } = manualPool()
  const { state, Db } = server({ maxLifetime: '1m' })
  await (await pool.borrow({ db: Db }, resourceContext())).release({ ok: true })
  await passing(() => expect(state).toMatchObject({ opened: 2, closed: [1] }), 5_000)
  expect(told).toEqual([])
  const { values, release } = await pool.borrow({ db: Db }, resourceContext())
  expect(values).toEqual({ db: 2 })
  await release({ ok: true })
})

it('a check that hangs, returns false or throws an empty error counts as failed', async () => {
  const { pool, clock, told, passing } = manualPool()
  const { state, Db } = server()
  await (await pool.borrow({ db: Db }, resourceContext())).release({ ok: true })
  state.isHanging = true
  await passing(() => expect(state.checks).toBe(1))
  state.isHanging = false
  await passing(() => expect(told).toHaveLength(2))
  expect(told[0]).toBe('db lost: check took longer than 5000 ms')
  const answers = [() => false, () => Promise.reject(new Error(''))]
  for (const [index, check] of answers.entries()) {
    const Odd = defineResource({
      name: `odd ${index}`,
      open: () => undefined,
      acquire: async function* () {
        yield 1
      },
      check,
    })
    await (await pool.borrow({ odd: Odd }, resourceContext())).release({ ok: true })
    await expect(pool.check()).rejects.toThrow(`resource odd ${index} is not ready`)
  }
  expect(clock.sleeping).toBeLessThan(10)
})

it('acquireTimeout ends the wait for a slot and for acquire, with numbers', async () => {
  const { pool, passing } = manualPool()
  const { Db } = server({ acquireTimeout: '10s' })
  const both = [
    await pool.borrow({ db: Db }, resourceContext({ runId: 1 })),
    await pool.borrow({ db: Db }, resourceContext({ runId: 2 })),
  ]
  const late = pool.borrow({ db: Db }, resourceContext({ runId: 3, jobId: 'sync' }))
  const refused = expect(late).rejects.toMatchObject({
    code: 'RESOURCE_TIMEOUT',
    message:
      'run 3 of job "sync" did not get resource db within its acquireTimeout of 10.0s: db has size 2, 2 borrowed, 1 waiting. ' +
      'Raise its size, lower the concurrency of the jobs that borrow it, hold it for a shorter time, or set a longer acquireTimeout',
    details: { resource: 'db', acquireTimeoutMs: 10_000, pools: [{ name: 'db', size: 2, borrowed: 2, waiting: 1 }] },
  })
  let isRefused = false
  void refused.then(() => (isRefused = true))
  await passing(() => expect(isRefused).toBe(true))
  await refused
  for (const { release } of both) await release({ ok: true })
  expect(pool.stats()).toMatchObject([{ borrowed: 0, waiting: 0 }])
  const Slow = defineResource({
    name: 'slow',
    acquireTimeout: '10s',
    acquire: async function* ({ signal }) {
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      yield 1
    },
  })
  const hanging = expect(pool.borrow({ slow: Slow }, resourceContext())).rejects.toThrow(
    'did not get resource slow within its acquireTimeout of 10.0s: slow has size unlimited, 1 borrowed',
  )
  await eventually(() => expect(pool.stats()[1]?.borrowed).toBe(1))
  await passing(() => expect(pool.stats()[1]?.borrowed).toBe(0))
  await hanging
})

it('what opens after the stop is closed, and a close that hangs does not hold up the others', async () => {
  const opening = Promise.withResolvers<number>()
  const closed: string[] = []
  let opens = 0
  const Late = defineResource({
    name: 'late',
    open: () => {
      opens += 1
      return opening.promise
    },
    acquire: async function* () {
      yield 1
    },
    close: (opened) => void closed.push(`late ${opened}`),
  })
  const resource = (name: string, close: () => unknown) =>
    defineResource({
      name,
      acquire: async function* () {
        yield name
      },
      close,
    })
  const pool = new ResourcePool()
  const A = resource('a', () => closed.push('a'))
  const B = resource('b', () => new Promise(() => {}))
  await (await pool.borrow({ a: A, b: B }, resourceContext())).release({ ok: true })
  const never = expect(pool.borrow({ late: Late }, resourceContext())).rejects.toMatchObject({ code: 'STOPPED' })
  await eventually(() => expect(opens).toBe(1))
  await expect(pool.close()).rejects.toThrow('resource b failed to close: it did not finish within 2000 ms')
  await never
  expect(closed).toEqual(['a'])
  opening.resolve(7)
  await eventually(() => expect(closed).toEqual(['a', 'late 7']))
})
