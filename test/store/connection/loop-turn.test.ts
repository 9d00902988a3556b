import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../src/store/connection/database.ts'
import { mapSound } from '../../../src/store/values/map-sound.ts'
import { createSqliteFile } from '../../support/databases.ts'

/** A limit far above the need of these loops, each of which ends as soon as the event loop has turned. */
const LIMIT_MS = 5_000

async function openFile() {
  const { path, remove } = createSqliteFile()
  const database = await openDatabase({ sqlitePath: path })
  onTestFinished(async () => {
    await database.close()
    remove()
  })
  return { database, path }
}

/** Repeats an awaited step until a timer has fired. Only the steps give the loop turns. */
async function untilTimer(step: () => Promise<unknown>): Promise<boolean> {
  let fired = false
  const timer = setTimeout(() => (fired = true), 1)
  const end = performance.now() + LIMIT_MS
  while (!fired && performance.now() < end) await step()
  clearTimeout(timer)
  return fired
}

describe('the event loop while SQLite works', () => {
  it('fires timers while statements are awaited one after the other', async () => {
    const { database } = await openFile()
    expect(await untilTimer(() => database.sql.query('SELECT 1'))).toBe(true)
    await database.sql.exec('CREATE TABLE t (n INTEGER)')
    expect(await untilTimer(() => database.sql.exec('INSERT INTO t VALUES (1)'))).toBe(true)
  })

  it('fires timers while transactions follow each other, and inside a long one', async () => {
    const { database } = await openFile()
    await database.sql.exec('CREATE TABLE t (n INTEGER)')
    const insert = (): Promise<unknown> =>
      database.sql.transaction((trx) => trx.exec('INSERT INTO t VALUES (?)', [Date.now()]))
    expect(await untilTimer(insert)).toBe(true)
    await database.sql.transaction(async (trx) => {
      expect(await untilTimer(() => trx.exec('INSERT INTO t VALUES (2)'))).toBe(true)
    })
    const [row] = await database.sql.query<{ n: number }>('SELECT count(*) AS n FROM t WHERE n = 2')
    expect(row?.n).toBeGreaterThan(0)
  })

  it('fires timers while the errors of failing statements are caught', async () => {
    const { database } = await openFile()
    expect(await untilTimer(() => database.sql.query('SELECT * FROM missing').catch(() => undefined))).toBe(true)
  })

  it('gives turns to two connections of one process that take their writes in turn', async () => {
    const { database, path } = await openFile()
    const other = await openDatabase({ sqlitePath: path })
    onTestFinished(() => other.close())
    await database.sql.exec('CREATE TABLE t (n INTEGER)')
    expect(
      await untilTimer(() =>
        Promise.all([database.sql.exec('INSERT INTO t VALUES (1)'), other.sql.exec('INSERT INTO t VALUES (2)')]),
      ),
    ).toBe(true)
  })

  it('fires timers while many rows are checked', async () => {
    const { database } = await openFile()
    const at = '2025-01-01T00:00:00.000Z'
    const row = { id: 1, start_at: at, end_at: at, state: 'failed' }
    const rows: object[] = [...Array.from({ length: 100_000 }, () => ({ ...row })), { ...row, end_at: 'late' }]
    let fired = false
    setTimeout(() => (fired = true), 1)
    let hadFired: boolean | undefined
    const mapped = await mapSound(
      database.dialect,
      'piko_window',
      rows,
      () => 1,
      () => (hadFired = fired),
    )
    expect({ hadFired, mapped: mapped.length }).toEqual({ hadFired: true, mapped: 100_000 })
  })

  it('takes no turn for a few statements', async () => {
    const { database } = await openFile()
    await database.sql.query('SELECT 1')
    await nextTurn()
    let turned = false
    setImmediate(() => (turned = true))
    await database.sql.query('SELECT 1')
    await database.sql.query('SELECT 2')
    expect(turned).toBe(false)
  })
})
