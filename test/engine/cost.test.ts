import { describe, expect, it } from 'vitest'
import { payload, type System, type SystemFactory } from '../../bench/harness/system.ts'
import bareMysql from '../../bench/systems/bare-mysql.ts'
import bareSqlite from '../../bench/systems/bare-sqlite.ts'
import { defineJob, Piko } from '../../src/index.ts'
import { eventually } from '../support/app.ts'
import { createMysqlDatabase, createSqliteFile } from '../support/databases.ts'
import { StatementCounter } from '../support/statement-counter.ts'

const RUNS = 10_000
const BULK = 1_000

function noop(begun: () => void): ReturnType<typeof defineJob> {
  return defineJob({ id: 'noop' }, begun)
}

async function inBulk(enqueue: (from: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < RUNS; from += BULK) await enqueue(from)
}

async function enqueue(store: object): Promise<void> {
  const client = new Piko({ jobs: noop(() => {}), execute: false, settings: settingsOf(store) })
  await client.start()
  await inBulk((from) =>
    client.enqueueMany(
      'noop',
      Array.from({ length: BULK }, (_, index) => ({ input: payload(from + index) })),
    ),
  )
  await client.stop()
}

/** The milliseconds from the begin of the first handler until the last end is stored. */
async function drain(store: object): Promise<number> {
  let firstAt = 0
  let settled = 0
  const done = Promise.withResolvers<number>()
  const node = new Piko({ jobs: noop(() => void (firstAt ||= performance.now())), settings: settingsOf(store) })
  node.events.on('run.settled', () => ++settled === RUNS && done.resolve(performance.now() - firstAt))
  await node.start()
  const ms = await done.promise
  await node.stop()
  return ms
}

function settingsOf(store: object): object {
  return { piko: { log_level: 'silent', concurrency: 2_000 }, ...store }
}

async function drainBare(open: SystemFactory, config: { dsn: string; lanes: number }): Promise<number> {
  const bare: System = await open({ ...config, batch: 500 })
  await bare.reset()
  await bare.open(1)
  await inBulk((from) => bare.enqueue(Array.from({ length: BULK }, (_, index) => payload(from + index))))
  let firstAt = 0
  let ended = 0
  const done = Promise.withResolvers<number>()
  await bare.work({
    asksWho: false,
    begun: () => (firstAt ||= performance.now()),
    ended: () => ++ended === RUNS && done.resolve(performance.now() - firstAt),
  })
  const ms = await done.promise
  // The lanes look once more and find nothing.
  await eventually(async () => expect(await bare.isPending()).toBe(false))
  await bare.close()
  return ms
}

/** The best of two alternating measurements, so that other work on the machine affects both. */
async function share(engine: () => Promise<number>, bare: () => Promise<number>): Promise<number> {
  let [engineMs, bareMs] = [Infinity, Infinity]
  for (let round = 0; round < 2; round++) {
    bareMs = Math.min(bareMs, await bare())
    engineMs = Math.min(engineMs, await engine())
  }
  return bareMs / engineMs
}

/** No figure here depends on the speed of the machine. */
describe('10,000 runs cost', () => {
  it('the MySQL server at most 10 statements to store in batches of 1,000, and 40 to process, with start and stop of the node', async () => {
    const { dsn, drop } = await createMysqlDatabase()
    await migrate({ mysql: { dsn } })
    const proxied = await StatementCounter.start(dsn)
    const { counter } = proxied
    const store = { mysql: { dsn: proxied.dsn } }
    await enqueue(store)
    const stored = counter.count
    await drain(store)
    const processed = counter.count - stored
    await counter[Symbol.asyncDispose]()
    await drop()
    // Includes the starts and stops of client and node. One statement per run would be 1,000.
    expect((stored / RUNS) * 1_000).toBeLessThanOrEqual(10)
    expect((processed / RUNS) * 1_000).toBeLessThanOrEqual(40)
  })

  it('on MySQL at most 8 times as much as a bare loop', async () => {
    const open = async <T>(use: (dsn: string) => Promise<T>): Promise<T> => {
      const { dsn, drop } = await createMysqlDatabase()
      try {
        return await use(dsn)
      } finally {
        await drop()
      }
    }
    const engine = (): Promise<number> =>
      open(async (dsn) => {
        await enqueue({ mysql: { dsn } })
        return drain({ mysql: { dsn } })
      })
    expect(await share(engine, () => open((dsn) => drainBare(bareMysql, { dsn, lanes: 2 })))).toBeGreaterThan(1 / 8)
  })

  it('on SQLite at most 40 times as much as a bare loop', async () => {
    const open = async <T>(use: (path: string) => Promise<T>): Promise<T> => {
      const { path, remove } = createSqliteFile()
      return use(path).finally(remove)
    }
    const engine = (): Promise<number> =>
      open(async (path) => {
        await enqueue({ sqlite: { path } })
        return drain({ sqlite: { path } })
      })
    expect(await share(engine, () => open((dsn) => drainBare(bareSqlite, { dsn, lanes: 1 })))).toBeGreaterThan(1 / 40)
  })
})

/** The tables exist already, so migrations are not counted. */
async function migrate(store: object): Promise<void> {
  const app = new Piko({ jobs: noop(() => {}), execute: false, settings: settingsOf(store) })
  await app.start()
  await app.stop()
}
