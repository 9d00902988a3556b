import { CompiledQuery } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { type Database, openDatabase, type OpenOptions } from '../../src/store/connection/database.ts'
import { eventually, recordEvents, startApp } from '../support/app.ts'
import { Galera } from '../support/galera.ts'

const RUNS = 600
const LEASE_MS = 15_000
const UPDATE = CompiledQuery.raw('UPDATE met SET v = v + 1 WHERE id = 1')

let galera: Galera
let stop = async (): Promise<void> => {}
beforeAll(async () => {
  galera = await Galera.start()
  stop = () => galera.stop()
  await galera.ask(0, 'CREATE DATABASE piko CHARACTER SET utf8mb4')
})
afterAll(() => stop())

const on = (index: number): OpenOptions => ({
  mysql: {
    ...galera.user,
    host: '127.0.0.1',
    port: galera.ports[index] ?? 0,
    database: 'piko',
    poolSize: 10,
    poolRecycleMs: 0,
    connectTimeoutMs: 60_000,
    statementTimeoutMs: 60_000,
  },
})

async function open(index: number): Promise<Database> {
  const database = await openDatabase(on(index))
  onTestFinished(() => database.close())
  return database
}

describe('a transaction that conflicts with one on another member', () => {
  it('is never committed when its function swallows the conflict, and runs again as a whole where Piko can repeat it', async () => {
    const [a, b] = [await open(0), await open(1)]
    await a.sql.exec('CREATE TABLE met (id INT PRIMARY KEY, v INT NOT NULL)')
    await a.sql.exec('INSERT INTO met VALUES (1, 0), (2, 0)')
    await eventually(async () => expect(await b.sql.query('SELECT v FROM met')).toHaveLength(2))
    const failed = b.sql.transaction(async (trx) => {
      await trx.exec('UPDATE met SET v = 1 WHERE id = 1')
      await a.sql.exec('UPDATE met SET v = 2 WHERE id = 1')
      // The other member's row arrives, so this transaction must give way.
      await eventually(async () => expect(await b.sql.query('SELECT v FROM met WHERE id = 1')).toEqual([{ v: 2 }]))
      for (let index = 0; index < 3; index++) await trx.exec('UPDATE met SET v = 9 WHERE id = 2').catch(() => undefined)
    })
    await expect(failed).rejects.toMatchObject({ code: 'TRANSACTION_ROLLED_BACK', cause: { errno: 1213 } })
    expect(await b.sql.query('SELECT v FROM met ORDER BY id')).toEqual([{ v: 2 }, { v: 0 }])
    let tries = 0
    await b.transaction(async (trx) => {
      tries += 1
      await trx.executeQuery(UPDATE)
      if (tries > 1) return
      await a.sql.exec('UPDATE met SET v = 3 WHERE id = 1')
      await eventually(async () => expect(await b.sql.query('SELECT v FROM met WHERE id = 1')).toEqual([{ v: 3 }]))
      await trx.executeQuery(UPDATE).catch(() => undefined)
    })
    expect(tries).toBe(2)
    expect(await b.sql.query('SELECT v FROM met WHERE id = 1')).toEqual([{ v: 4 }])
  })
})

describe('three nodes on three members', () => {
  it('execute six hundred runs once each while one member is killed and another is cut off', async () => {
    const database = await open(0)
    await database.sql.exec('CREATE TABLE effect (run_id BIGINT NOT NULL, seq BIGINT AUTO_INCREMENT PRIMARY KEY)')
    const outside = new Map<number, number>()
    const by = new Map<number, number>()
    const work = (node: number) =>
      defineJob({ id: 'work', retry: { limit: 20, base: '200ms', max: '2s' } }, async (ctx) => {
        await new Promise((resolve) => setTimeout(resolve, 300))
        await ctx.commit((trx) => trx.exec('INSERT INTO effect (run_id) VALUES (?)', [ctx.runId]))
        outside.set(ctx.runId, (outside.get(ctx.runId) ?? 0) + 1)
        by.set(node, (by.get(node) ?? 0) + 1)
      })
    const settings = { piko: { lease: `${LEASE_MS}ms`, poll_interval: '500ms', concurrency: 4 } } as const
    const apps: Piko[] = []
    for (const node of [0, 1, 2]) apps.push(await startApp(on(node), work(node), { settings }))
    const crashed = apps.map((app) => recordEvents(app, 'service.crashed'))
    const outages = apps.map((app) => recordEvents(app, 'store.outage'))
    const recovered = apps.map((app) => recordEvents(app, 'store.recovered'))
    const failed = apps.map((app) => recordEvents(app, 'loop.failed'))
    await apps[0]!.enqueueMany(
      'work',
      Array.from({ length: RUNS }, () => ({})),
    )
    await eventually(() => expect(outside.size).toBeGreaterThan(60))

    await galera.kill(2)
    const afterKill = outside.size
    await eventually(() => expect(outside.size).toBeGreaterThan(afterKill + 60))
    // The remaining member has no quorum, so nobody can write until another one is back.
    await galera.isolate(1, true)
    await eventually(() => expect(outages.map((list) => list.length > 0)).toEqual([true, true, true]))
    // The scenario itself takes this long: longer than a lease.
    await new Promise((resolve) => setTimeout(resolve, LEASE_MS + 5_000))
    await galera.isolate(1, false)
    await galera.restart(2)

    await eventually(() => expect(outside.size).toBe(RUNS), 600_000)
    await eventually(async () => {
      const left = await database.sql.query(`SELECT id FROM piko_run WHERE job_id = 'work' AND state <> 'succeeded'`)
      expect(left).toEqual([])
    }, 600_000)
    const effects = await database.sql.query('SELECT COUNT(*) AS n, COUNT(DISTINCT run_id) AS d FROM effect')
    expect(effects.map((row) => [Number(row['n']), Number(row['d'])])).toEqual([[RUNS, RUNS]])
    expect([...outside.values()].filter((count) => count !== 1)).toEqual([])

    // No loop has given up: each node is ready, and claims runs.
    for (const app of apps)
      await eventually(async () => {
        const { checks } = await app.health()
        expect(Object.entries(checks).filter(([, check]) => !check.ok)).toEqual([])
      })
    expect(crashed.flat()).toEqual([])
    by.clear()
    await eventually(async () => {
      await apps[0]!.enqueueMany(
        'work',
        Array.from({ length: 12 }, () => ({})),
      )
      expect([0, 1, 2].map((node) => by.has(node))).toEqual([true, true, true])
    })
    // One line at the start of an outage and one at its end, for any number of failed loops.
    expect(recovered.map((list) => list.length)).toEqual(outages.map((list) => list.length))
    for (const [node, list] of failed.entries()) {
      const during = list.filter(({ fault }) => fault === 'outage').length
      expect(during).toBeGreaterThan(outages[node]!.length)
      expect(list.filter(({ fault }) => fault === undefined)).toEqual([])
    }
  })
})
