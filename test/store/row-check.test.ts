import { expect, it } from 'vitest'
import type { Database } from '../../src/store/connection/database.ts'
import { storeOn } from '../../src/store/store.ts'
import { poison } from '../support/poison.ts'
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
  it('finds invalid text between and after the times of runs that are not due, in each priority', async () => {
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
    // A row that is corrected and then broken in another way is reported again.
    await database.db.updateTable('piko_run').set({ run_at: 'never' }).where('id', '=', 2).execute()
    expect(await found()).toEqual(['piko_run id = 2: run_at'])
  })
})

describeEachStore((store) => {
  it('reports no readable rows, and checks all of a large table', async () => {
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

  it('finds windows outside every range and list, windows that have yet to run, and runs in no state', async () => {
    const database = await store.open()
    await store.empty()
    const at = database.dialect.instant(new Date())
    const start = (minute: number) => database.dialect.instant(new Date(Date.UTC(2026, 0, 1, 0, minute)))
    await database.db
      .insertInto('piko_job')
      .values(['a', 'b', 'c'].map((id) => ({ id, created_at: at, updated_at: at, windows: '{}' })))
      .execute()
    const window = (job_id: string, minute: number, state: 'succeeded' | 'waiting' = 'succeeded') => ({
      ...{ job_id, state, updated_at: at, start_at: start(minute), end_at: start(minute + 1) },
    })
    const windows = [window('a', 0), window('a', 1), window('b', 0), window('b', 1, 'waiting'), window('c', 0)]
    await database.db.insertInto('piko_window').values(windows).execute()
    await database.db
      .insertInto('piko_run')
      .values(
        [1, 2].map((id) => ({ ...queued, id, state: 'succeeded' as const, priority: 0, run_at: at, created_at: at })),
      )
      .execute()
    const [first] = await database.db.selectFrom('piko_window').select('id').orderBy('id').limit(1).execute()
    const id = (index: number): string => `id = ${(first?.id ?? 0) + index}`
    const outside = store.name === 'sqlite' ? 'tomorrow' : '0000-00-00 00:00:00'
    const early = store.name === 'sqlite' ? '' : outside
    await poison(store, database, 'piko_window', id(0), { column: 'start_at', value: outside })
    await poison(store, database, 'piko_window', id(2), { column: 'start_at', value: early })
    await poison(store, database, 'piko_window', id(3), { column: 'wait_at', value: outside })
    const word = store.name === 'sqlite' ? 'running' : ''
    await poison(store, database, 'piko_window', id(4), { column: 'state', value: word })
    await poison(store, database, 'piko_run', 'id = 2', { column: 'state', value: word && 'odd' })
    expect((await check(database)()).sort()).toEqual([
      'piko_run id = 2: state',
      ...[0, 2, 3, 4].map(
        (index) => `piko_window ${id(index)}: ${['start_at', '', 'start_at', 'wait_at', 'state'][index]}`,
      ),
    ])
  })
})
