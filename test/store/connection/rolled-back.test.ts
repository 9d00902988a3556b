import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SqlExecutor } from '../../../src/sql/sql.ts'
import { commitRun } from '../../../src/store/runs/commit-run.ts'
import { type Database, openDatabase } from '../../../src/store/connection/database.ts'
import { migrate } from '../../../src/store/migration/migrate.ts'
import type { Claim } from '../../../src/run/run.ts'
import { storeOn } from '../../../src/store/store.ts'
import { createMysqlDatabase } from '../../support/databases.ts'
import { Gate } from '../../support/app.ts'
import { lockWait } from '../../support/lock-wait.ts'
import { rejected } from '../../support/thrown.ts'

describe('a transaction that the server has rolled back for a deadlock', () => {
  let database: Database
  let drop: () => Promise<void>

  beforeAll(async () => {
    const created = await createMysqlDatabase()
    drop = created.drop
    database = await openDatabase({ mysql: created.options })
    await migrate(database, { direction: 'up' })
    await database.sql.exec('CREATE TABLE pair (id INT PRIMARY KEY, v INT NOT NULL)')
    await database.sql.exec('CREATE TABLE effect (id INT)')
  })
  afterAll(async () => {
    await database.close()
    await drop()
  })

  const values = async (): Promise<unknown[]> => database.sql.query('SELECT v FROM pair ORDER BY id')
  const effects = async (): Promise<unknown[]> => database.sql.query('SELECT id FROM effect')

  /** Locks row 1, meets another transaction that holds row 2 and has written more, so the server rolls this one back. */
  async function loseDeadlock(trx: SqlExecutor): Promise<Error> {
    const holds = new Gate()
    const mayMeet = new Gate()
    const other = database.sql.transaction(async (heavier) => {
      await heavier.exec('UPDATE pair SET v = v + 100 WHERE id >= 2')
      holds.open()
      await mayMeet.pass()
      await heavier.exec('UPDATE pair SET v = v + 100 WHERE id = 1')
    })
    await holds.pass()
    await trx.exec('UPDATE pair SET v = v + 1 WHERE id = 1')
    const losing = trx.exec('UPDATE pair SET v = v + 1 WHERE id = 2').then(
      () => new Error('it has won'),
      (error: Error) => error,
    )
    await lockWait(database.sql)
    mayMeet.open()
    const error = await losing
    await other
    return error
  }

  async function fill(): Promise<void> {
    await database.sql.exec('DELETE FROM pair')
    await database.sql.exec('DELETE FROM effect')
    const rows = Array.from({ length: 50 }, (_, index) => `(${index + 1}, 0)`).join(', ')
    await database.sql.exec(`INSERT INTO pair VALUES ${rows}`)
  }

  it('is not committed even if its function swallows the error, and its later statements do nothing', async () => {
    await fill()
    let later: Error | undefined
    const error = await rejected(
      database.sql.transaction(async (trx) => {
        expect(await loseDeadlock(trx)).toMatchObject({ errno: 1213 })
        later = await rejected(trx.exec('INSERT INTO effect VALUES (1)'))
        return 'done'
      }),
    )
    expect([later, error]).toMatchObject([{ code: 'TRANSACTION_ROLLED_BACK' }, { code: 'TRANSACTION_ROLLED_BACK' }])
    expect(error.message).toContain('run the whole transaction again')
    expect(error.cause).toMatchObject({ errno: 1213 })
    expect(await effects()).toEqual([])
    expect((await values())[0]).toEqual({ v: 100 })
    // The connection can still be used.
    await database.sql.transaction((trx) => trx.exec('INSERT INTO effect VALUES (2)'))
    expect(await effects()).toEqual([{ id: 2 }])
  })

  it('is repeated as a whole by ctx.commit, even if the handler swallows the error', async () => {
    await fill()
    const store = storeOn(database)
    await store.nodes.register({ id: 'node', host: 'h', pid: 1 }, 600_000)
    const [runId = 0] = await store.runs.enqueue([{ jobId: 'job', kind: 'manual', priority: 0 }])
    const { claims } = await store.runs.claim({ nodeId: 'node', limit: 1, limits: new Map() })
    let calls = 0
    const result = await commitRun(
      database,
      'node',
      claims[0] as Claim,
      async (trx) => {
        calls += 1
        if (calls === 1) await loseDeadlock(trx)
        await trx.exec('INSERT INTO effect VALUES (?)', [calls]).catch(() => undefined)
        return calls
      },
      {
        isWanted: () => undefined,
        signal: new AbortController().signal,
        giveUp: new AbortController().signal,
      },
    )
    expect([result, calls]).toEqual([2, 2])
    expect(await effects()).toEqual([{ id: 2 }])
    expect(await store.runs.find(runId)).toMatchObject({ state: 'succeeded', output: 2 })
  })
})
