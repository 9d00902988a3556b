import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CompiledQuery, Kysely } from 'kysely'
import { afterEach, beforeEach, describe, expect, it, vi, onTestFinished } from 'vitest'
import { startGuard } from '../../../../src/guard-thread.ts'
import {
  type AutomaticCheckpoint,
  type Checkpoint,
  Checkpointer,
} from '../../../../src/store/connection/sqlite/checkpointer.ts'
import { openDatabase } from '../../../../src/store/connection/database.ts'
import { NodeSqliteDialect } from '../../../../src/store/connection/sqlite/sqlite-driver.ts'
import { PATIENCE_MS } from '../../../support/patience.ts'

const guardBase = new URL('../../../../src/store/connection/sqlite/checkpointer.ts', import.meta.url).href

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'piko-checkpoint-'))
  path = join(folder, 'piko.db')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const MB = 1_000_000
const WRITTEN = 8 * MB
const FILL = CompiledQuery.raw('INSERT INTO big (data) VALUES (randomblob(?))', [WRITTEN])
const bytes = (): number => statSync(path).size

function open(checkpoint?: Checkpoint): { db: Kysely<unknown>; run: (text: string) => Promise<unknown[]> } {
  const db = new Kysely<unknown>({ dialect: new NodeSqliteDialect(path, checkpoint) })
  return { db, run: async (text) => (await db.executeQuery(CompiledQuery.raw(text))).rows }
}

const automatic = (run: (text: string) => Promise<unknown[]>, pages = 1_000): Promise<void> =>
  vi.waitFor(async () => expect(await run('PRAGMA wal_autocheckpoint')).toEqual([{ wal_autocheckpoint: pages }]), {
    timeout: PATIENCE_MS,
  })

/** Changes ten times as many rows as a batch of the engine. */
const largeWrite = (db: Kysely<unknown>): Promise<void> => writeRows(db, 20_000)

const writeRows = (db: Kysely<unknown>, rows: number): Promise<void> =>
  db.transaction().execute(async (trx) => {
    await trx.executeQuery(FILL)
    await trx.executeQuery(
      CompiledQuery.raw(
        'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO big SELECT i FROM n RETURNING 1',
        [rows],
      ),
    )
  })

it('leaves the checkpoint of a large transaction to a thread, and later commits checkpoint themselves again', async () => {
  const asked: PromiseWithResolvers<void>[] = []
  const { db, run } = open(() => {
    const gate = Promise.withResolvers<void>()
    asked.push(gate)
    return gate.promise
  })
  await run('CREATE TABLE big (data BLOB)')
  await largeWrite(db)
  expect(bytes()).toBeLessThan(MB)
  await run('INSERT INTO big VALUES (1)')
  await largeWrite(db)
  await largeWrite(db)
  expect({ bytes: bytes() < MB, asked: asked.length }).toEqual({ bytes: true, asked: 1 })
  asked[0]?.resolve()
  // The rows written during the checkpoint need another one.
  await vi.waitFor(() => expect(asked).toHaveLength(2), { timeout: PATIENCE_MS })
  asked[1]?.resolve()
  await automatic(run)
  await run('INSERT INTO big VALUES (1)')
  expect(bytes()).toBeGreaterThan(3 * WRITTEN)
  await db.destroy()
})

it.each([5_000, 0])('keeps the limit of %i pages that the user has set', async (pages) => {
  const gate = Promise.withResolvers<void>()
  const { db, run } = open(() => gate.promise)
  await run('CREATE TABLE big (data BLOB)')
  await run(`PRAGMA wal_autocheckpoint = ${pages}`)
  await largeWrite(db)
  expect(await run('PRAGMA wal_autocheckpoint')).toEqual([{ wal_autocheckpoint: 0 }])
  gate.resolve()
  await automatic(run, pages)
  await db.destroy()
})

it('outlives a connection that is closed before its checkpoint has ended', async () => {
  let resumed = false
  const checkpointer = new Checkpointer(
    path,
    (when) => {
      if (when !== 'usual') return
      resumed = true
      throw new Error('database is not open')
    },
    () => Promise.resolve(),
  )
  checkpointer.commit(() => {})
  await vi.waitFor(() => expect(resumed).toBe(true), { timeout: PATIENCE_MS })
  await new Promise((resolve) => setImmediate(resolve))
})

describe('many small commits', () => {
  const asked: PromiseWithResolvers<void>[] = []
  const set: AutomaticCheckpoint[] = []
  let hasThread = true
  let checkpointer: Checkpointer

  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    asked.length = 0
    set.length = 0
    hasThread = true
    checkpointer = new Checkpointer(
      path,
      (when) => void set.push(when),
      (_, isLarge) => {
        expect(isLarge).toBe(false)
        const gate = Promise.withResolvers<void>()
        asked.push(gate)
        return gate.promise
      },
      () => hasThread,
    )
  })

  const end = async (): Promise<void> => {
    asked.at(-1)?.resolve()
    await checkpointer.idle()
  }

  it('leave their checkpoints to the thread while they follow one another, one at a time', async () => {
    for (let commit = 0; commit < 7; commit++) checkpointer.changed(1_000)
    expect({ asked: asked.length, set }).toEqual({ asked: 0, set: [] })
    checkpointer.changed(1_000)
    expect({ asked: asked.length, set }).toEqual({ asked: 1, set: ['late'] })
    // The rows that are changed meanwhile may already be copied.
    checkpointer.changed(20_000)
    await end()
    checkpointer.changed(7_999)
    expect(asked).toHaveLength(1)
    checkpointer.changed(1)
    expect({ asked: asked.length, set }).toEqual({ asked: 2, set: ['late'] })
    await end()
    vi.advanceTimersByTime(1_001)
    checkpointer.changed(1)
    expect({ asked: asked.length, set }).toEqual({ asked: 2, set: ['late', 'usual'] })
  })

  it('run them themselves if they are far apart, or if the process has no thread for them', async () => {
    for (let second = 0; second < 20; second++) {
      checkpointer.changed(7_999)
      vi.advanceTimersByTime(1_001)
    }
    hasThread = false
    checkpointer.changed(50_000)
    expect({ asked: asked.length, set }).toEqual({ asked: 0, set: [] })
    hasThread = true
    checkpointer.changed(8_000)
    await end()
    hasThread = false
    checkpointer.changed(8_000)
    expect({ asked: asked.length, set }).toEqual({ asked: 1, set: ['late', 'usual'] })
  })
})

it('a node copies the log of many small commits in its thread, and its own commits rarely do', async () => {
  const { port } = startGuard('checkpoint-guard', guardBase, { path: join(folder, 'none.db'), files: [] })
  await once(port, 'close')
  const { db, run } = open()
  await run('CREATE TABLE big (data BLOB)')
  await vi.waitFor(
    async () => {
      await writeRows(db, 3_000)
      expect(await run('PRAGMA wal_autocheckpoint')).toEqual([{ wal_autocheckpoint: 4_000 }])
      expect(bytes()).toBeGreaterThan(WRITTEN)
    },
    { timeout: PATIENCE_MS },
  )
  await db.destroy()
})

it('starts no thread for a small transaction', async () => {
  let asked = 0
  const { db, run } = open(async () => void asked++)
  await run('CREATE TABLE big (data BLOB)')
  // A busy machine may take long for one of them.
  await vi.waitFor(
    async () => {
      asked = 0
      await writeRows(db, 2_000)
      expect(asked).toBe(0)
    },
    { timeout: PATIENCE_MS },
  )
  await db.destroy()
})

it('continues by itself when the thread fails', async () => {
  const { db, run } = open(() => Promise.reject(new Error('no thread')))
  await run('CREATE TABLE big (data BLOB)')
  await largeWrite(db)
  await automatic(run)
  await run('INSERT INTO big VALUES (1)')
  expect(bytes()).toBeGreaterThan(WRITTEN)
  await db.destroy()
})

it('has copied the log when the database is closed, and creates no missing file', async () => {
  const first = open()
  const other = open()
  await first.run('CREATE TABLE big (data BLOB)')
  await other.run('SELECT 1')
  await largeWrite(first.db)
  await first.db.destroy()
  expect(bytes()).toBeGreaterThan(WRITTEN)
  await largeWrite(other.db)
  rmSync(path)
  await other.db.destroy()
  expect(() => bytes()).toThrow('ENOENT')
})

it('leaves a database in memory alone', async () => {
  const database = await openDatabase({ sqlitePath: ':memory:' })
  await database.sql.exec('CREATE TABLE big (data BLOB)')
  await largeWrite(database.db as unknown as Kysely<unknown>)
  expect(await database.sql.query('SELECT count(*) AS n FROM big')).toEqual([{ n: 20_001 }])
  await database.close()
})

it.each([
  [600, ['turn', 'committed']],
  [10, ['committed', 'turn']],
])('a transaction that has changed %i rows and has held the event loop commits: %s', async (rows, order) => {
  // With a real clock, a busy machine would hold the event loop longer.
  vi.useFakeTimers({ toFake: ['performance'] })
  onTestFinished(() => void vi.useRealTimers())
  const { db, run } = open()
  await run('CREATE TABLE big (data BLOB)')
  const seen: string[] = []
  const turned = Promise.withResolvers<void>()
  await db.transaction().execute(async (trx) => {
    for (let row = 0; row < rows; row += 10) {
      await trx.executeQuery(CompiledQuery.raw('INSERT INTO big VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10)'))
    }
    await new Promise((resolve) => setImmediate(resolve))
    // The clock of a turn starts at its first statement.
    await trx.executeQuery(CompiledQuery.raw('SELECT 1'))
    vi.advanceTimersByTime(5)
    setImmediate(() => {
      seen.push('turn')
      turned.resolve()
    })
  })
  seen.push('committed')
  await turned.promise
  await db.destroy()
  expect(seen).toEqual(order)
})
