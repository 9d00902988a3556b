import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Database, openDatabase } from '../../../src/store/connection/database.ts'
import type { SqlExecutor } from '../../../src/sql/sql.ts'
import { createSqliteFile, describeEachStore } from '../../support/databases.ts'
import { rejected } from '../../support/thrown.ts'

describe('a call that bypasses trx, inside a transaction on SQLite', () => {
  const file = createSqliteFile()
  let database: Database
  beforeAll(async () => {
    database = await openDatabase({ sqlitePath: file.path })
    await database.sql.exec('CREATE TABLE t (a INTEGER)')
  })
  afterAll(async () => {
    await database.close()
    file.remove()
  })

  const calls = {
    'sql.query': () => database.sql.query('SELECT 1'),
    'sql.exec': () => database.sql.exec('INSERT INTO t VALUES (1)'),
    'sql.transaction': () => database.sql.transaction(async () => {}),
  } as const

  it.each(Object.entries(calls))(
    '%s is refused immediately instead of waiting forever, and the transaction rolls back',
    async (what, call) => {
      const work = database.sql.transaction(async (trx) => {
        await trx.exec('INSERT INTO t VALUES (2)')
        await call()
      })
      await expect(work).rejects.toMatchObject({
        code: 'USAGE',
        message: `${what} inside a transaction would wait for its own transaction, since SQLite has one connection; use the trx passed to the function, or make the call outside of it`,
      })
      expect(await database.sql.query('SELECT * FROM t')).toEqual([])
    },
  )

  it('is allowed from outside the transaction, where it waits for its turn', async () => {
    let isBesideDone = false
    const begun = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const transaction = database.sql.transaction(async () => {
      begun.resolve()
      await gate.promise
      expect(isBesideDone).toBe(false)
    })
    await begun.promise
    const beside = database.sql.query('SELECT 1 AS a').then((rows) => {
      isBesideDone = true
      return rows
    })
    gate.resolve()
    await transaction
    expect(await beside).toEqual([{ a: 1 }])
  })

  it('is allowed from a callback after the transaction, and to another database', async () => {
    const other = await openDatabase({ sqlitePath: ':memory:' })
    const gate = Promise.withResolvers<void>()
    const left = await database.sql.transaction(async () => {
      expect(await other.sql.query('SELECT 2 AS a')).toEqual([{ a: 2 }])
      return { promise: gate.promise.then(() => database.sql.query('SELECT 1 AS a')) }
    })
    gate.resolve()
    expect(await left.promise).toEqual([{ a: 1 }])
    await other.close()
  })
})

describeEachStore((store) => {
  it('runs calls through trx in the transaction', async () => {
    const { sql } = await store.open()
    const count = async (on: SqlExecutor): Promise<number> =>
      Number((await on.query('SELECT count(*) AS n FROM piko_lock'))[0]?.['n'])
    const before = await count(sql)
    expect(await sql.transaction(count)).toBe(before)
  })

  it.each(['throws', 'returns'] as const)('executes nothing that fn left behind when it %s', async (ending) => {
    const { sql } = await store.open()
    await sql.exec('CREATE TABLE IF NOT EXISTS left_behind (a INTEGER)')
    await sql.exec('DELETE FROM left_behind')
    const left: Promise<unknown>[] = []
    const insert = 'INSERT INTO left_behind (a) VALUES (?)'
    const work = sql.transaction(async (trx) => {
      await trx.exec(insert, [1])
      const slow = trx.query(store.name === 'mysql' ? 'SELECT SLEEP(0.1) AS a' : 'SELECT 0 AS a')
      const next = slow.then(() => trx.exec(insert, [2]))
      left.push(rejected(next))
      if (ending === 'returns') return
      left.push(rejected(trx.exec(insert, [3])))
      throw new Error('no')
    })
    if (ending === 'throws') await expect(work).rejects.toThrow('no')
    else await work
    for (const error of await Promise.all(left)) expect(error).toMatchObject({ code: 'USAGE' })
    expect(await sql.query('SELECT a FROM left_behind')).toEqual(ending === 'throws' ? [] : [{ a: 1 }])
  })

  if (store.name === 'mysql')
    it('uses another connection on MySQL', async () => {
      const { sql } = await store.open()
      expect(await sql.transaction(async () => sql.query('SELECT 1 AS a'))).toEqual([{ a: 1 }])
    })
})
