import { describe, expect, expectTypeOf, it } from 'vitest'
import { PikoError } from '../../src/errors.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { JobRegistry } from '../../src/job/registry.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import { ResourcePool } from '../../src/resource/resource-pool.ts'
import { type ProcessContext, Resource, type ResourceContext, type ResourceMap } from '../../src/resource/resource.ts'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { eventually } from '../support/app.ts'
import { resourceContext } from './resource-context.ts'

const FAILED = { ok: false, error: new Error('bad page') } as const

/** A resource that numbers its values and records how they end. */
function numbered(events: string[], name: string, scope: 'run' | 'attempt', size = Infinity) {
  let count = 0
  return defineResource({
    name,
    scope,
    size,
    acquire: async function* () {
      const value = `${name}${++count}`
      events.push(`+${value}`)
      try {
        yield value
        events.push(`-${value}`)
      } catch (error) {
        events.push(`-${value} (${(error as Error).message})`)
        throw error
      }
    },
  })
}

describe('the scope', () => {
  it('attempt gives each attempt its own value; run keeps it from a failed attempt to the retry', async () => {
    const events: string[] = []
    const pool = new ResourcePool({ clock: new ManualClock() })
    const map = { run: numbered(events, 'run', 'run', 1), trx: numbered(events, 'trx', 'attempt') }
    const first = await pool.borrow(map, resourceContext({ attempt: 1 }))
    expect(first.values).toEqual({ run: 'run1', trx: 'trx1' })
    await first.release(FAILED)
    pool.settled(1, 60_000)
    expect(pool.stats()).toMatchObject([
      { name: 'run', borrowed: 1 },
      { name: 'trx', borrowed: 0 },
    ])
    const second = await pool.borrow(map, resourceContext({ attempt: 2 }))
    expect(second.values).toEqual({ run: 'run1', trx: 'trx2' })
    await second.release({ ok: true })
    expect(events).toEqual(['+run1', '+trx1', '-trx1 (bad page)', '+trx2', '-trx2', '-run1'])
    expect(pool.stats()).toMatchObject([{ borrowed: 0 }, { borrowed: 0 }])
    await pool.close()
  })

  it.each<[string, (pool: ResourcePool, clock: ManualClock) => unknown]>([
    ['its run has ended', (pool) => pool.settled(1, undefined)],
    ['its retry is far away', (pool) => pool.settled(1, 3_600_000)],
    [
      'its retry does not begin here',
      (pool, clock) => {
        pool.settled(1, 60_000)
        clock.advance(70_000)
      },
    ],
    ['nobody says how the attempt ended', (_pool, clock) => clock.advance(10_000)],
    ['the process stops', (pool) => pool.close()],
  ])('run returns the value with the error when %s', async (_what, end) => {
    const events: string[] = []
    const clock = new ManualClock()
    const pool = new ResourcePool({ clock })
    const { release } = await pool.borrow({ run: numbered(events, 'run', 'run') }, resourceContext())
    await release(FAILED)
    await end(pool, clock)
    await eventually(() => expect(pool.stats()[0]?.borrowed).toBe(0))
    expect(events).toEqual(['+run1', '-run1 (bad page)'])
  })

  it.each(['STOPPED', 'LEASE_LOST', 'RUN_CANCELLED', 'STEP_WAITING'] as const)(
    'run returns the value at once after %s',
    async (code) => {
      const events: string[] = []
      const pool = new ResourcePool()
      const { release } = await pool.borrow({ run: numbered(events, 'run', 'run') }, resourceContext())
      await release({ ok: false, error: new PikoError(code, code) })
      expect(events).toEqual(['+run1', `-run1 (${code})`])
    },
  )

  it('process shares one value, created with what it needs, and ended before the need closes', async () => {
    const events: string[] = []
    let opened = 0
    const Http = defineResource({
      name: 'http',
      scope: 'process',
      open: () => `http${++opened}`,
      close: (http) => void events.push(`close ${http}`),
    })
    class Api extends Resource<string> {
      static override readonly scope = 'process'
      static override readonly size = 5
      static override readonly resources = { http: Http }
      override async *acquire({ resources, signal }: ProcessContext<typeof Api.resources>) {
        expectTypeOf(resources.http).toEqualTypeOf<string>()
        events.push(`api over ${resources.http}`)
        yield `api over ${resources.http}`
        events.push(`api ended, ${signal.aborted ? 'stopped' : 'running'}`)
      }
    }
    const pool = new ResourcePool()
    const both = await Promise.all(
      [1, 2].map((runId) => pool.borrow({ api: Api, http: Http }, resourceContext({ runId }))),
    )
    expect(both.map(({ values }) => values)).toEqual(Array(2).fill({ api: 'api over http1', http: 'http1' }))
    expect(pool.stats()).toMatchObject([{ name: 'http' }, { name: 'Api', size: 5, borrowed: 2 }])
    for (const { release } of both) await release({ ok: true })
    await pool.close()
    expect(events).toEqual(['api over http1', 'api ended, stopped', 'close http1'])
  })

  it('process follows a need that was lost and opened again', async () => {
    const clock = new ManualClock()
    const lost: string[] = []
    const observer = { lost: (name: string) => lost.push(name), recovered: () => {}, waited: () => {} }
    const pool = new ResourcePool({ clock, random: () => 0, observer: () => observer })
    let [opened, isUp] = [0, true]
    const Http = defineResource({
      name: 'http',
      scope: 'process',
      open: () => ++opened,
      check: () => isUp,
    })
    const Api = defineResource({
      name: 'api',
      scope: 'process',
      resources: { http: Http },
      acquire: async function* ({ resources }) {
        yield `over ${resources.http}`
      },
    })
    await (await pool.borrow({ api: Api }, resourceContext())).release({ ok: true })
    isUp = false
    await expect(pool.check()).rejects.toThrow('resource http is not ready')
    expect(lost).toEqual(['http', 'api'])
    const waiting = pool.borrow({ api: Api }, resourceContext())
    await eventually(() => expect(pool.stats()).toMatchObject([{ state: 'lost' }, { state: 'lost', waiting: 1 }]))
    isUp = true
    await eventually(() => {
      clock.advance(20_000)
      expect(pool.stats()).toMatchObject([{ state: 'open' }, { state: 'open' }])
    })
    const { values, release } = await waiting
    expect(values).toEqual({ api: `over ${opened}` })
    await release({ ok: true })
    await pool.close()
  })
})

describe('a resource that needs others', () => {
  it('gets the values of its attempt, typed, with the config and window of the job', async () => {
    const events: string[] = []
    const Db = numbered(events, 'db', 'attempt', 1)
    class Repo extends Resource<string> {
      static override readonly resources = { db: Db }
      override async *acquire({ resources, config, window }: ResourceContext<typeof Repo.resources>) {
        expectTypeOf(resources).toEqualTypeOf<{ readonly db: string }>()
        events.push('+repo')
        yield `repo over ${resources.db} for ${JSON.stringify(config)} in ${window?.start.toISOString()}`
        events.push('-repo')
      }
    }
    const pool = new ResourcePool()
    const window = { start: new Date(0), end: new Date(3_600_000) }
    const context = resourceContext({ config: { shop: 'eu' }, window })
    const { values, release } = await pool.borrow({ repo: Repo, db: Db }, context)
    expect(values).toEqual({ repo: 'repo over db1 for {"shop":"eu"} in 1970-01-01T00:00:00.000Z', db: 'db1' })
    await release({ ok: true })
    expect(events).toEqual(['+db1', '+repo', '-repo', '-db1'])
  })

  it('gets second values for its second value', async () => {
    const events: string[] = []
    const Connection = numbered(events, 'c', 'attempt', 2)
    const Trx = defineResource({
      name: 'trx',
      resources: { connection: Connection },
      acquire: async function* ({ resources }) {
        yield `trx on ${resources.connection}`
      },
    })
    const pool = new ResourcePool()
    const { values, release } = await pool.borrow({ from: Trx, to: Trx, connection: Connection }, resourceContext())
    expect(values).toEqual({ from: 'trx on c1', to: 'trx on c2', connection: 'c1' })
    await release({ ok: true })
    expect(pool.stats()).toMatchObject([{ borrowed: 0 }, { borrowed: 0 }])
  })
})

describe('the registration refuses', () => {
  const plain = { acquire: async function* () {} }
  const registering = (resources: ResourceMap) => () =>
    JobRegistry.of([defineJob({ id: 'sync', resources }, () => {}), defineJob({ id: 'same', resources }, () => {})])

  it('resources that need each other, with the path', () => {
    class A extends Resource<number> {
      static override resources: ResourceMap = {}
      async *acquire() {
        yield 1
      }
    }
    const B = defineResource({ name: 'b', resources: { a: A }, ...plain })
    const C = defineResource({ name: 'c', resources: { b: B }, ...plain })
    A.resources = { c: C }
    expect(registering({ b: B })).toThrow(
      'job "sync": resource b: it needs itself: b → A → c → b; remove one of these entries of the option resources',
    )
  })

  it('a size smaller than what one run borrows through its needs', () => {
    const Db = defineResource({ name: 'db', size: 2, ...plain })
    const Copy = defineResource({ name: 'copy', resources: { from: Db, to: Db }, ...plain })
    const Both = defineResource({ name: 'both', resources: { one: Copy, other: Copy }, ...plain })
    expect(registering({ copy: Copy })).not.toThrow()
    expect(registering({ both: Both })).toThrow(
      'job "sync": resource db: one run borrows 4 of it at the same time, also through copy, and its size is 2; expected a size of at least 4',
    )
  })

  it('a need that does not last as long, and wrong options of a class, all at once', () => {
    const Db = defineResource({ name: 'db', ...plain })
    const Api = defineResource({ name: 'api', scope: 'process', resources: { db: Db }, ...plain })
    expect(registering({ api: Api })).toThrow(
      'resource api: its scope is "process", and it needs db as db, whose scope is "attempt"; it can only need resources that live at least as long',
    )
    class Wrong extends Resource<number> {
      static override readonly size = 0
      static override readonly checkEvery = '5' as '5s'
      static override readonly resources = { db: undefined } as unknown as ResourceMap
      async *acquire() {
        yield 1
      }
    }
    expect(registering({ wrong: Wrong })).toThrow(
      /^job "sync": resource Wrong has 3 problems:\n {2}size is 0; .*\n {2}checkEvery is "5"; .*\n {2}resources has undefined as db; /,
    )
  })
})
