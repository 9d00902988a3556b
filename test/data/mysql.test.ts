import { Kysely, MysqlDialect } from 'kysely'
import { createPool } from 'mysql2'
import { createPool as createPromisePool } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { mysql } from '../../src/data/index.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { SqlExecutor } from '../../src/sql/sql.ts'
import { eventually, Gate, startApp } from '../support/app.ts'
import { createMysqlDatabase, createSqliteFile } from '../support/databases.ts'
import { startMysqlServer } from '../support/mysql-server.ts'
import { rejected, thrown } from '../support/thrown.ts'

interface Tables {
  stock: { id: number; amount: number }
}

describe('mysql', () => {
  let database: Awaited<ReturnType<typeof createMysqlDatabase>>
  let store: ReturnType<typeof createSqliteFile>

  beforeAll(async () => {
    database = await createMysqlDatabase()
    store = createSqliteFile()
    const { database: sql } = mysql(database.dsn)
    await sql.exec('CREATE TABLE stock (id INT PRIMARY KEY, amount INT NOT NULL, at DATETIME(3) NULL) ENGINE=InnoDB')
  })

  afterAll(async () => {
    await database.drop()
    store.remove()
  })

  const amounts = async (from: number): Promise<number[]> => {
    const { database: sql } = mysql(database.dsn)
    const rows = await sql.query<{ amount: number }>('SELECT amount FROM stock WHERE id BETWEEN ? AND ? ORDER BY id', [
      from,
      from + 9,
    ])
    return rows.map(({ amount }) => amount)
  }

  const kysely = (): Kysely<Tables> =>
    new Kysely<Tables>({ dialect: new MysqlDialect({ pool: createPool({ uri: database.dsn }) }) })

  it.each([
    { kind: 'a DSN', from: 10, given: () => ({ resource: mysql(database.dsn, { size: 2 }), end: async () => {} }) },
    {
      kind: 'a pool of the user',
      from: 20,
      given: () => {
        const pool = createPromisePool({ uri: database.dsn, connectionLimit: 4 })
        return { resource: mysql(pool, { size: 2 }), end: () => pool.end() }
      },
    },
    {
      kind: 'a Kysely instance of the user',
      from: 30,
      given: () => {
        const db = kysely()
        return { resource: mysql(db, { size: 2 }), end: () => db.destroy() }
      },
    },
  ])('commits what a run wrote if it ends well, and otherwise nothing: $kind', async ({ from, given }) => {
    const { resource, end } = given()
    const left: { db: SqlExecutor | undefined } = { db: undefined }
    const job = defineJob({ id: 'write', resources: { db: resource } }, async ({ resources: { db }, input }) => {
      const { id, fails } = input as { id: number; fails?: boolean }
      await db.exec('INSERT INTO stock (id, amount, at) VALUES (?, ?, ?)', [id, 1, new Date('2026-01-01T00:00:00Z')])
      // Another connection, which does not see the transaction.
      expect(await resource.database.query('SELECT id FROM stock WHERE id = ?', [id])).toEqual([])
      const { changes } = await db.exec('UPDATE stock SET amount = 2 WHERE id = ?', [id])
      left.db = db
      if (fails) throw new Error('no')
      return changes
    })
    const app = await startApp({ sqlitePath: store.path }, job)
    const runs = [{ id: from }, { id: from + 1, fails: true }, { id: from + 2 }].map((input) =>
      app.run('write', { input, wait: true }).then(
        ({ output }) => output,
        () => 'failed',
      ),
    )
    expect(await Promise.all(runs)).toEqual([1, 'failed', 1])
    expect(await amounts(from)).toEqual([2, 2])
    expect(await rejected(left.db?.query('SELECT 1') ?? Promise.resolve())).toMatchObject({ code: 'USAGE' })
    await app.stop()
    // The user's own pool is still open.
    expect(await resource.database.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
    await end()
  })

  it('gives a run of a Kysely instance its typed transaction, and a pool the connection', async () => {
    const db = kysely()
    const typed = mysql(db)
    const plain = mysql(database.dsn)
    const job = defineJob({ id: 'typed', resources: { typed, plain } }, async ({ resources }) => {
      await resources.typed.trx.insertInto('stock').values({ id: 40, amount: 4 }).execute()
      const [rows] = await resources.plain.connection.execute('SELECT ? AS n', [1])
      return rows
    })
    const app = await startApp({ sqlitePath: store.path }, job)
    expect((await app.run('typed', { wait: true })).output).toEqual([{ n: 1 }])
    expect(await amounts(40)).toEqual([4])
    await app.stop()
    await db.destroy()
  })

  it('refuses statements after the server has rolled the transaction back, and commits none of them', async () => {
    const db = mysql(database.dsn)
    await db.database.exec('INSERT INTO stock (id, amount) VALUES (50, 0), (51, 0)')
    const bothHold = Promise.withResolvers<void>()
    let holding = 0
    const job = defineJob({ id: 'deadlocked', resources: { db } }, async (ctx) => {
      const { resources, input } = ctx
      const [first, second] = input as [number, number]
      await resources.db.exec('UPDATE stock SET amount = amount + 1 WHERE id = ?', [first])
      if (++holding === 2) bothHold.resolve()
      await bothHold.promise
      // A handler that ignores the error of its statement.
      await resources.db.exec('UPDATE stock SET amount = amount + 1 WHERE id = ?', [second]).catch(() => {})
      await resources.db.exec('INSERT INTO stock (id, amount) VALUES (?, 9)', [first + 2]).catch(() => {})
    })
    const app = await startApp({ sqlitePath: store.path }, job)
    const ends = await Promise.allSettled([
      app.run('deadlocked', { input: [50, 51], wait: true }),
      app.run('deadlocked', { input: [51, 50], wait: true }),
    ])
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    const failed = ends.find((end) => end.status === 'rejected')
    expect(String(failed?.reason)).toContain('has rolled the transaction back')
    // One of the runs, and of the other nothing.
    expect(await amounts(50)).toEqual([1, 1, 9])
  })

  it('gives up the connection of a run that ends during a statement, and of a transaction past its time', async () => {
    const db = mysql(database.dsn, { size: 1 })
    const job = defineJob({ id: 'slow', resources: { db }, timeout: '500ms' }, async ({ resources, input }) => {
      await resources.db.exec('INSERT INTO stock (id, amount) VALUES (60, 1)')
      if (input !== 'quick') await resources.db.query('SELECT SLEEP(60)')
    })
    const app = await startApp({ sqlitePath: store.path }, job)
    expect((await rejected(app.run('slow', { wait: true }))).message).toContain('longer than its timeout')
    const late = db.database.transaction((trx) => trx.query('SELECT SLEEP(60)'), { timeout: '200ms' })
    expect(await rejected(late)).toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
    await app.stop()
    expect(await amounts(60)).toEqual([])
  })

  it('loads rows of a table as a file', async () => {
    const { database: sql } = mysql(database.dsn)
    const file = [Buffer.from('70,7\n71,'), Buffer.from('8\n')]
    const statement = "LOAD DATA LOCAL INFILE 'rows' INTO TABLE stock FIELDS TERMINATED BY ',' (id, amount)"
    const loaded = await sql.transaction(async (trx) => trx.load?.(statement, file))
    expect(loaded).toEqual({ changes: 2, warnings: 0 })
    expect(await amounts(70)).toEqual([7, 8])
    // Without rows of its own a statement sends no file of this machine.
    await expect(sql.exec("LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE stock")).rejects.toThrow()
  })

  it('names all problems of a call, without the password', () => {
    const error = thrown(() => mysql('mysql://user:s3cret@host/', { size: 0, sise: 1 } as never))
    expect(error).toMatchObject({ code: 'USAGE' })
    expect(error.details['problems']).toEqual([
      expect.stringContaining('it names no database'),
      'unknown option "sise", did you mean "size"?',
      'size is 0; expected a whole number from 1 to 10000',
    ])
    expect(JSON.stringify(error) + error.message).not.toContain('s3cret')
  })
})

it('waits for a server that restarts, and runs that wait go on', async () => {
  const server = await startMysqlServer({ args: ['--innodb-log-file-size=8M'] })
  onTestFinished(() => server.stop())
  const store = createSqliteFile()
  onTestFinished(store.remove)
  const db = mysql(`${server.dsn}/mysql`, { size: 2 })
  const begun = new Gate()
  const job = defineJob({ id: 'ask', resources: { db } }, async ({ resources }) => {
    begun.open()
    return resources.db.query('SELECT 1 AS one')
  })
  const app = await startApp({ sqlitePath: store.path }, job)
  expect((await app.run('ask', { wait: true })).output).toEqual([{ one: 1 }])
  await server.kill()
  const waiting = [1, 2, 3].map(() => app.run('ask', { wait: true }))
  await eventually(async () => expect((await app.runs.list({ state: 'running' })).length).toBeGreaterThan(0))
  await server.restart()
  for (const { output } of await Promise.all(waiting)) expect(output).toEqual([{ one: 1 }])
  expect(await db.database.query('SELECT 1 AS one')).toEqual([{ one: 1 }])
})
