import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createConnection } from 'mysql2/promise'
import { LoopHealth } from '../../../src/engine/loop/loop-health.ts'
import { defineJob } from '../../../src/job/define-job.ts'
import { Events } from '../../../src/events.ts'
import { createLogger } from '../../../src/telemetry/log.ts'
import { ManualClock } from '../../../src/testing/manual-clock.ts'
import { eventually, recordEvents, startApp } from '../../support/app.ts'
import { type MysqlServer, startMysqlServer } from '../../support/mysql-server.ts'

describe('an outage', () => {
  it('begins with the first failure of any loop, and ends when every failed loop has worked again', () => {
    const events = new Events()
    const clock = new ManualClock()
    const loops = new LoopHealth({ events, clock })
    const seen: string[] = []
    events.onAny((name) => name.startsWith('store.') && seen.push(name))
    const fail = (loop: string, fault: 'outage' | 'contention' | undefined): void =>
      loops.failed({ loop, thrown: new Error('gone'), retryInMs: 100, failures: 1, fault })
    const work = (loop: string): void => loops.recovered(loop, 1)
    fail('planner', undefined)
    fail('planner', 'contention')
    expect([seen, loops.outage]).toEqual([[], undefined])
    for (const loop of ['planner', 'heartbeat', 'planner', 'dispatcher']) fail(loop, 'outage')
    expect(seen).toEqual(['store.outage'])
    expect(loops.outage).toBe('unavailable for 0 s: gone')
    // A loop that only reads.
    work('planner')
    fail('planner', 'outage')
    work('dispatcher')
    work('planner')
    expect(seen).toEqual(['store.outage'])
    work('heartbeat')
    expect([seen, loops.outage]).toEqual([['store.outage', 'store.recovered'], undefined])
  })

  it('ends even if a loop that failed in it was stopped', () => {
    const events = new Events()
    const clock = new ManualClock()
    const loops = new LoopHealth({ events, clock })
    for (const loop of ['planner', 'dispatcher'])
      loops.failed({ loop, thrown: new Error('gone'), retryInMs: 100, failures: 1, fault: 'outage' })
    clock.advance(60_000)
    loops.recovered('dispatcher', 1)
    expect(loops.outage).toBeUndefined()
  })
})

describe('an unavailable server', () => {
  let server: MysqlServer
  const options = { poolSize: 10, poolRecycleMs: 0, connectTimeoutMs: 60_000, statementTimeoutMs: 60_000 }

  const ask = async (...statements: string[]): Promise<void> => {
    const connection = await createConnection(server.dsn)
    for (const statement of statements) await connection.query(statement)
    await connection.end()
  }

  beforeAll(async () => {
    server = await startMysqlServer()
    const user = `CREATE USER IF NOT EXISTS outage_test@'%' IDENTIFIED BY 'outage-secret'`
    await ask('CREATE DATABASE outage_test', user, `GRANT ALL ON outage_test.* TO outage_test@'%'`)
  })

  afterAll(async () => {
    await ask('DROP DATABASE outage_test', 'DROP USER outage_test')
    await server.stop()
  })

  it.each([
    // Affects only this user, because other tests still write.
    ['reads, and does not write', () => ask('SET GLOBAL read_only = 1'), () => ask('SET GLOBAL read_only = 0')],
    ['was killed', () => server.kill(), () => server.restart()],
  ])('is reported once for all loops, as is its return: it %s', async (_, begin, end) => {
    const { hostname, port } = new URL(server.dsn)
    const mysql = { ...options, host: hostname, port: Number(port), database: 'outage_test' }
    const lines: { level: string; piko_event?: string }[] = []
    const stream = { write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]) }
    const job = defineJob({ id: 'tick', every: '200ms' }, () => {})
    const app = await startApp({ mysql: { ...mysql, user: 'outage_test', password: 'outage-secret' } }, job, {
      logger: createLogger({ level: 'warn', json: true, name: 'test', stream }),
    })
    const failed = recordEvents(app, 'loop.failed')
    const outages = recordEvents(app, 'store.outage')
    const recovered = recordEvents(app, 'store.recovered')
    const settled = recordEvents(app, 'run.settled')
    await eventually(() => expect(settled.length).toBeGreaterThan(0))
    await begin()
    await eventually(() => expect(new Set(failed.map(({ loop }) => loop)).size).toBeGreaterThanOrEqual(2))
    await eventually(() => expect(failed.length).toBeGreaterThanOrEqual(6))
    expect(outages).toHaveLength(1)
    expect((await app.health()).checks['store']).toMatchObject({ ok: false })
    await end()
    await eventually(() => expect(recovered).toHaveLength(1))
    const before = settled.length
    await eventually(() => expect(settled.length).toBeGreaterThan(before))
    expect((await app.health()).checks['store']).toMatchObject({ ok: true })
    expect(outages).toHaveLength(1)
    const errors = lines.filter(({ level }) => level === 'error')
    expect(errors.map((line) => line.piko_event)).toEqual(['store.outage'])
  })
})
