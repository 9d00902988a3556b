import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../../../src/job/define-job.ts'
import { type Database, openDatabase, type OpenOptions } from '../../../../src/store/connection/database.ts'
import { migrate } from '../../../../src/store/migration/migrate.ts'
import { eventually, Gate, nextEvent, startApp } from '../../../support/app.ts'
import { createMysqlDatabase } from '../../../support/databases.ts'
import { TcpProxy } from '../../../support/tcp-proxy.ts'
import { rejected } from '../../../support/thrown.ts'

type MysqlOptions = NonNullable<OpenOptions['mysql']>

describe('connections to MySQL', () => {
  let mysql: MysqlOptions
  let drop: () => Promise<void>
  let direct: Database

  beforeAll(async () => {
    ;({ options: mysql, drop } = await createMysqlDatabase())
    direct = await openDatabase({ mysql })
    await direct.sql.exec('CREATE TABLE effect (id INT)')
  })
  afterAll(async () => {
    await direct.close()
    await drop()
  })

  async function open(options: Partial<MysqlOptions> = {}): Promise<Database> {
    const database = await openDatabase({ mysql: { ...mysql, ...options } })
    onTestFinished(() => database.close())
    return database
  }

  async function openProxied(options: Partial<MysqlOptions> = {}): Promise<{ proxy: TcpProxy; database: Database }> {
    const proxy = await TcpProxy.start({ host: mysql.host, port: mysql.port })
    onTestFinished(() => proxy.stop())
    const database = await open({ host: '127.0.0.1', port: proxy.port, ...options })
    return { proxy, database }
  }

  const effects = async (id: number): Promise<number> =>
    (await direct.sql.query('SELECT id FROM effect WHERE id = ?', [id])).length

  it('wait at most 5 s for locked rows', async () => {
    const database = await open()
    expect(await database.sql.query('SELECT @@innodb_lock_wait_timeout AS seconds')).toEqual([{ seconds: 5 }])
  })

  describe('a statement that is not answered', () => {
    it('fails in time with its text, and its connection is not used again', async () => {
      const database = await open({ poolSize: 1, statementTimeoutMs: 200 })
      const started = performance.now()
      const error = await rejected(database.sql.query('SELECT SLEEP(60)'))
      expect(performance.now() - started).toBeLessThan(20_000)
      expect(error).toMatchObject({ code: 'DATABASE_TIMEOUT' })
      expect(error.message).toContain('200 ms to: SELECT SLEEP(60)')
      expect(await database.sql.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    })

    it('ends its transaction with that error, and the transaction is not repeated', async () => {
      const database = await open({ statementTimeoutMs: 200 })
      let calls = 0
      const transaction = database.transaction(async (trx) => {
        calls += 1
        await sql`INSERT INTO effect VALUES (1)`.execute(trx)
        await sql`SELECT SLEEP(60)`.execute(trx)
      })
      expect(await rejected(transaction)).toMatchObject({ code: 'DATABASE_TIMEOUT' })
      expect(calls).toBe(1)
      expect(await effects(1)).toBe(0)
    })

    it('has no limit if it is DDL', async () => {
      const database = await open({ statementTimeoutMs: 200 })
      // Twice the time of its limit, also on a member of a cluster, where DDL does not wait for locks.
      await database.sql.exec('CREATE TABLE slow AS SELECT SLEEP(0.4) AS slept')
      expect(await database.sql.query('SELECT slept FROM slow')).toHaveLength(1)
    })

    it('fails immediately when the database is cut off, as do waiting ones', async () => {
      const { proxy, database } = await openProxied({ poolSize: 1 })
      const hanging = rejected(database.sql.query("SELECT SLEEP(60), 'hanging'"))
      await eventually(async () => {
        const running = `SELECT id FROM information_schema.processlist WHERE info LIKE "%'hanging'" AND id <> CONNECTION_ID()`
        expect(await direct.sql.query(running)).toHaveLength(1)
      })
      proxy.swallowAnswers()
      const inLine = [1, 2, 3].map(() => rejected(database.sql.query('SELECT 1')))
      await sleep(10)
      const before = performance.now()
      database.cut()
      for (const failing of [hanging, ...inLine]) expect(await failing).toMatchObject({ code: 'STOPPED' })
      expect(await rejected(database.sql.query('SELECT 1'))).toMatchObject({ code: 'STOPPED' })
      await database.close()
      expect(performance.now() - before).toBeLessThan(20_000)
    })
  })

  it('have a limited wait, which fails with the numbers', async () => {
    const database = await open({ poolSize: 2, statementTimeoutMs: 200 })
    const released = new Gate()
    const holding = [1, 2].map(() => database.transaction(() => released.pass()))
    const error = await rejected(database.sql.query('SELECT 1'))
    expect(error).toMatchObject({ code: 'DATABASE_TIMEOUT' })
    expect(error.message).toContain('none of the 2 connections became free within 200 ms')
    released.open()
    await Promise.all(holding)
    // The caller that left the line did not take a connection.
    const both = [1, 2].map(() => database.transaction((trx) => sql`SELECT 1`.execute(trx)))
    await Promise.all(both)
  })

  it.each(['swallowRequests', 'swallowAnswers'] as const)('do not delay the stop of an app: %s', async (fault) => {
    const { proxy } = await openProxied()
    await migrate(direct, { direction: 'up' })
    const job = defineJob({ id: 'job' }, (ctx) => new Gate().pass(ctx.signal))
    const options = { mysql: { ...mysql, host: '127.0.0.1', port: proxy.port } }
    const app = await startApp(options, job, { settings: { piko: { shutdown_timeout: '500ms' } }, stopMayFail: true })
    const started = nextEvent(app, 'run.started')
    await app.run('job')
    await started
    proxy[fault]()
    const before = performance.now()
    await app.stop().catch(() => {})
    expect(performance.now() - before).toBeLessThan(60_000)
  })

  describe('a connection that breaks', () => {
    it('before the commit is sent: the transaction runs again', async () => {
      const { proxy, database } = await openProxied()
      let calls = 0
      await database.transaction(async (trx) => {
        calls += 1
        await sql`INSERT INTO effect VALUES (2)`.execute(trx)
        if (calls === 1) proxy.drop()
        await sql`SELECT 1`.execute(trx)
      })
      expect(calls).toBe(2)
      expect(await effects(2)).toBe(1)
    })

    it.each([
      ['arrives', 1, 'answer'],
      ['does not arrive', 0, 'request'],
    ])(
      'at a commit that %s: the result is unknown, and the transaction does not run again',
      async (_, stored, lost) => {
        const id = 10 + stored
        for (const repeats of [true, false]) {
          const { proxy, database } = await openProxied()
          const loss =
            lost === 'answer' ? proxy.loseAnswerTo('commit', 'effect') : proxy.loseRequest('commit', 'effect')
          const done = repeats
            ? database.transaction((trx) => sql`INSERT INTO effect VALUES (${id})`.execute(trx))
            : database.sql.transaction((trx) => trx.exec('INSERT INTO effect VALUES (?)', [id]))
          expect(await rejected(done)).toMatchObject({ code: 'COMMIT_UNKNOWN' })
          await loss
        }
        expect(await effects(id)).toBe(2 * stored)
      },
    )

    it('is reported with its own error, even if the rollback also fails', async () => {
      const { proxy, database } = await openProxied()
      const failing = database.sql.transaction(async (trx) => {
        proxy.drop()
        await trx.query('SELECT 1')
      })
      await expect(failing).rejects.toThrow(/ECONNRESET|closed the connection/)
      const own = new Error('of the caller')
      const failed = database.transaction(async () => {
        proxy.drop()
        await eventually(() => expect(proxy.connections).toBe(0))
        throw own
      })
      await expect(failed).rejects.toBe(own)
    })
  })

  it('are pinged after they were idle', async () => {
    const { proxy, database } = await openProxied({ connectTimeoutMs: 2_000 })
    await sleep(1_100)
    proxy.swallowRequests()
    const answer = database.sql.query('SELECT 1 AS one')
    await sleep(100)
    proxy.heal()
    expect(await answer).toEqual([{ one: 1 }])
  })

  const ask = ({ transaction }: Database) => transaction((trx) => sql`SELECT 1 AS one`.execute(trx))

  it('are opened again when the server returns within two seconds', async () => {
    const { proxy, database } = await openProxied()
    proxy.cut()
    setTimeout(() => proxy.heal(), 500)
    expect(await ask(database)).toMatchObject({ rows: [{ one: 1 }] })
  })

  it('are not retried for longer, and the error says for how long', async () => {
    const { proxy, database } = await openProxied()
    proxy.cut()
    const started = performance.now()
    const error = await rejected(ask(database))
    expect(error).toMatchObject({ code: 'DATABASE_UNREACHABLE' })
    expect(error.message).toContain(`no connection to MySQL at 127.0.0.1:${proxy.port}/${mysql.database} for 2000 ms`)
    expect(performance.now() - started).toBeLessThan(60_000)
  })
})
