import { createPool } from 'mysql2/promise'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { defineResource } from '../../src/resource/define-resource.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, Headcount, recordEvents, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { type MysqlServer, startMysqlServer } from '../support/mysql-server.ts'

let server: MysqlServer
beforeAll(async () => {
  // With options of its own, so that it is a private server, which may be killed.
  server = await startMysqlServer({ args: ['--performance-schema=OFF'] })
})
afterAll(() => server.stop())

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  it('runs over two pools named in opposite order never wait for each other, and return everything whatever ends them', async () => {
    const RUNS = 300
    const [first, second] = [new Headcount(), new Headcount()]
    const order: number[] = []
    const pool = (name: string, size: number, heads: Headcount) =>
      defineResource({
        name,
        size,
        acquire: async function* ({ runId }) {
          heads.enter()
          if (name === 'a') order.push(runId)
          try {
            yield runId
          } finally {
            heads.leave()
          }
        },
      })
    const [A, B] = [pool('a', 3, first), pool('b', 2, second)]
    const both = { a: A, b: B }
    const handler = async ({ input }: { readonly input: unknown }): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      if (Number(input) % 20 === 3) throw new Error('one of twenty fails')
    }
    const hang = async ({ signal }: { readonly signal: AbortSignal }): Promise<void> => {
      hanging += 1
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
    }
    let hanging = 0
    const jobs = [
      defineJob({ id: 'ab', resources: both }, handler),
      defineJob({ id: 'ba', resources: { b: B, a: A } }, handler),
      defineJob({ id: 'timeout', resources: both, timeout: '50ms' }, hang),
      defineJob({ id: 'hang', resources: both }, hang),
    ]
    const settings = { piko: { concurrency: 50, shutdown_timeout: '1s' } }
    const app = await startApp(store.options, jobs, { settings })
    const begun: number[] = []
    app.events.on('run.started', ({ runId }) => begun.push(runId))
    const hangs = await app.enqueueMany('hang', [{}])
    await eventually(() => expect(hanging).toBe(1))
    const inputs = Array.from({ length: RUNS / 2 }, (_, input) => ({ input }))
    const ids = [
      ...(await app.enqueueMany('ab', inputs)),
      ...(await app.enqueueMany('timeout', [{}, {}])),
      ...(await app.enqueueMany('ba', inputs)),
    ]
    await eventually(() => expect(order.length).toBeGreaterThan(RUNS / 6))
    for (const id of [...hangs, ...ids.slice(RUNS / 4, RUNS / 4 + 10)]) await app.runs.cancel(id)
    await eventually(() => expect(order.length).toBeGreaterThan(RUNS / 3))
    const acquired = [...order]
    await app.stop()
    expect([first.current, second.current]).toEqual([0, 0])
    const again = await startApp(store.options, jobs, { settings })
    const runs = await Promise.all(ids.map((id) => again.waitFor(id)))
    const counts = Map.groupBy(runs, ({ state }) => state)
    expect(counts.get('succeeded')?.length).toBeGreaterThan(RUNS / 2)
    expect(counts.get('failed')?.length).toBeGreaterThan(2)
    await again.stop()
    expect([first.current, second.current]).toEqual([0, 0])
    expect(first.most).toBeLessThanOrEqual(3)
    expect(second.most).toBe(2)
    // A run that was cancelled while it waited has no place in the order.
    const asked = begun.filter((id) => acquired.includes(id))
    expect(acquired.toSorted((a, b) => asked.indexOf(a) - asked.indexOf(b))).toEqual(acquired)
  })

  it('a database that is restarted behind a pool renews the pool: runs wait and go on, and readiness shows the gap', async () => {
    const Warehouse = defineResource({
      name: 'warehouse',
      size: 2,
      checkEvery: '100ms',
      open: () => createPool({ uri: server.dsn, connectionLimit: 2 }),
      acquire: async function* (_ctx, pool) {
        const connection = await pool.getConnection()
        try {
          yield connection
        } finally {
          connection.release()
        }
      },
      check: (pool) => pool.query('SELECT 1'),
      close: (pool) => pool.end(),
    })
    const job = defineJob({ id: 'query', resources: { db: Warehouse } }, async ({ input }, { db }) => {
      const [rows] = await db.query('SELECT ? AS answer', [input])
      return rows
    })
    const app = await startApp(store.options, job)
    const lost = recordEvents(app, 'resource.lost')
    const recovered = recordEvents(app, 'resource.recovered')
    await app.run('query', { input: 0, wait: true })
    await server.kill()
    await eventually(async () =>
      expect((await app.health()).checks['resources in use']?.message).toContain('resource warehouse is not ready'),
    )
    const ids = await app.enqueueMany(
      'query',
      Array.from({ length: 10 }, (_, input) => ({ input })),
    )
    await eventually(async () =>
      expect((await app.metrics()).body).toMatch(/^piko_resource_waiting\{resource="warehouse"\} 10$/m),
    )
    await server.restart()
    const runs = await Promise.all(ids.map((id) => app.waitFor(id)))
    expect(runs.map(({ state, attempt, output }) => [state, attempt, output])).toEqual(
      ids.map((_id, answer) => ['succeeded', 1, [{ answer }]]),
    )
    expect((await app.health()).checks['resources in use']).toEqual({ ok: true })
    expect(lost).toMatchObject([{ resource: 'warehouse' }])
    expect(recovered).toMatchObject([{ resource: 'warehouse' }])
    const { body } = await app.metrics()
    expect(body).toMatch(/^piko_resource_renewals_total\{resource="warehouse"\} 1$/m)
    expect(body).toMatch(/^piko_resource_lost\{resource="warehouse"\} 0$/m)
  })
})
