import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../../src/store/connection/database.ts'
import { LockWait } from '../../../../src/store/connection/sqlite/lock-wait.ts'
import { Semaphore } from '../../../../src/resource/semaphore.ts'
import { createSqliteFile } from '../../../support/databases.ts'
import { rejected } from '../../../support/thrown.ts'

async function openFile() {
  const { path, remove } = createSqliteFile()
  const database = await openDatabase({ sqlitePath: path })
  onTestFinished(async () => {
    await database.close()
    remove()
  })
  await database.sql.exec('CREATE TABLE t (n INTEGER)')
  return { database, path }
}

/** A second process that holds the write lock until it gets a message to release it. */
async function lockFrom(path: string): Promise<() => void> {
  const program = `
    const { DatabaseSync } = require('node:sqlite')
    const database = new DatabaseSync(process.argv[1])
    database.exec('BEGIN IMMEDIATE')
    process.stdout.write('locked')
    process.stdin.once('data', () => { database.exec('COMMIT'); process.exit() })`
  const child = spawn(process.execPath, ['--eval', program, path], { stdio: ['pipe', 'pipe', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return () => void child.stdin.write('go')
}

/** Turns of a timer. While a statement blocks the event loop for a second at a time, this number takes longer than any wait. */
const TURNS = 100

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve, 1))
}

describe('while another process holds the write lock', () => {
  it('writes and transactions wait without blocking the event loop, and reads go on', async () => {
    const { database, path } = await openFile()
    const unlock = await lockFrom(path)
    const done: string[] = []
    const writes = [
      database.sql.exec('INSERT INTO t VALUES (1)').then(() => done.push('exec')),
      database.sql.transaction((trx) => trx.exec('INSERT INTO t VALUES (2)')).then(() => done.push('sql')),
      database.transaction(async () => {}).then(() => done.push('transaction')),
      ...Array.from({ length: 50 }, () => database.sql.exec('INSERT INTO t VALUES (3)')),
    ]
    await turns(TURNS)
    expect(await database.sql.query('SELECT n FROM t')).toEqual([])
    expect(done).toEqual([])
    unlock()
    await Promise.all(writes)
    expect(done.toSorted()).toEqual(['exec', 'sql', 'transaction'])
    expect(await database.sql.query('SELECT count(*) AS n FROM t')).toEqual([{ n: 52 }])
  })

  it('a new connection opens, and another error of a statement is reported as before', async () => {
    const { database, path } = await openFile()
    const unlock = await lockFrom(path)
    const other = await openDatabase({ sqlitePath: path })
    onTestFinished(() => other.close())
    expect(await other.sql.query('SELECT n FROM t')).toEqual([])
    await expect(database.sql.query('SELECT * FROM missing')).rejects.toThrow('no such table')
    unlock()
  })
})

describe('the wait for a lock', () => {
  it('ends after its limit with the file and the remedy, for those that wait behind it too', async () => {
    const { path } = await openFile()
    const holder = new DatabaseSync(path)
    const writer = new DatabaseSync(path, { timeout: 0 })
    onTestFinished(() => [holder, writer].forEach((one) => one.close()))
    holder.exec('BEGIN IMMEDIATE')
    const line = new Semaphore(1)
    const wait = new LockWait(path, { leave: () => line.release(), enter: () => line.acquire() }, 100)
    let tries = 0
    const insert = async (): Promise<void> => {
      await line.acquire()
      try {
        await wait.run(false, async () => {
          tries += 1
          writer.exec('INSERT INTO t VALUES (1)')
        })
      } finally {
        line.release()
      }
    }
    const errors = await Promise.all(Array.from({ length: 20 }, () => rejected(insert())))
    for (const error of errors) {
      expect(error).toMatchObject({ code: 'DATABASE_LOCKED', details: { path } })
      expect(error.message).toMatch(
        /has been locked by another program or connection for \d+ ms; end its write transaction/,
      )
    }
    // Each waits once, and only one of them tries at a time.
    expect(tries).toBeLessThan(100)
    holder.exec('COMMIT')
    await insert()
    expect(line.active).toBe(0)
  })
})
