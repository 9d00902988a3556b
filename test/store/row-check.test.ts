import { expect, it } from 'vitest'
import { type Database } from '../../src/store/connection/database.ts'
import { storeOn } from '../../src/store/store.ts'
import { describeEachStore, describeSqlite } from '../support/databases.ts'

const HOUR_MS = 3_600_000

function check(database: Database) {
  const told: string[] = []
  database.broken.onReport = ({ table, key, columns }) => told.push(`${table} ${key}: ${columns.join()}`)
  const { rowCheck } = storeOn(database)
  return async (): Promise<string[]> => {
    while (await rowCheck.step());
    return told.splice(0)
  }
}

const queued = { job_id: 'job', state: 'queued', kind: 'manual' } as const

describeSqlite((store) => {
  it('finds text among the times of runs that are not due, and behind them, in each priority', async () => {
    const database = await store.open()
    await store.empty()
    const at = new Date().toISOString()
    const later = (hours: number) => new Date(Date.now() + hours * HOUR_MS).toISOString()
    const row = (run_at: string, priority = 0) => ({ ...queued, run_at, priority, created_at: at })
    const bad = [row(later(450).replace('T', ' at ')), row('tomorrow'), row('3000-00-00', 5), row('99999999999999', 7)]
    for (const rows of [bad, Array.from({ length: 900 }, (_, hour) => row(later(hour + 1)))])
      await database.db.insertInto('piko_run').values(rows).execute()
    const found = check(database)
    const first = await found()
    expect(first.sort()).toEqual([1, 2, 3, 4].map((id) => `piko_run id = ${id}: run_at`))
    expect(await found()).toEqual([])
    // Corrected and broken in another way, it is told again.
    await database.db.updateTable('piko_run').set({ run_at: 'never' }).where('id', '=', 2).execute()
    expect(await found()).toEqual(['piko_run id = 2: run_at'])
  })
})

describeEachStore((store) => {
  it('says nothing of rows that can be read, and looks at all of a large table', async () => {
    const database = await store.open()
    await store.empty()
    const at = database.dialect.instant(new Date())
    const jobs = Array.from({ length: 450 }, (_, index) => ({ id: `job-${index}`, created_at: at, updated_at: at }))
    await database.db
      .insertInto('piko_job')
      .values([...jobs, { id: 'zero', created_at: at, updated_at: at, windows: '{odd' }])
      .execute()
    await database.db
      .insertInto('piko_run')
      .values({ ...queued, run_at: at, priority: 0, created_at: at })
      .execute()
    const found = check(database)
    expect(await found()).toEqual(["piko_job id = 'zero': windows"])
    expect(await found()).toEqual([])
  })
})
