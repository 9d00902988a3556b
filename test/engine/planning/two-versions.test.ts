import { expect, it, onTestFinished } from 'vitest'
import { openDatabase } from '../../../src/store/connection/database.ts'
import { testSettings } from '../../support/app.ts'
import { createMysqlDatabase } from '../../support/databases.ts'
import { WorkerProcess } from '../../support/worker-process.ts'

const EVERY_MS = 500

it('two processes with two versions of the code, one after the other, run every tick of both jobs once', async () => {
  const { options, drop } = await createMysqlDatabase()
  onTestFinished(drop)
  const settings = testSettings({ mysql: options }, { piko: { poll_interval: '100ms' } })
  const older = new WorkerProcess({ settings, jobs: ['known'] }, 'engine/version-node')
  await older.told('leads')
  await older.told('ran known', 2)
  const newer = new WorkerProcess({ settings, jobs: ['known', 'added'] }, 'engine/version-node')
  // The leader does not know the job.
  await newer.told('ran added', 4)
  expect([newer.lines.includes('leads'), older.lines.includes('follows')]).toEqual([false, false])
  older.signal('SIGTERM')
  expect((await older.end()).code).toBe(0)
  await newer.told('leads')
  const before = newer.lines.filter((line) => line === 'ran added').length
  await newer.told('ran added', before + 3)
  newer.signal('SIGTERM')
  expect((await newer.end()).code).toBe(0)
  expect(older.lines).not.toContain('ran added')

  const database = await openDatabase({ mysql: options })
  onTestFinished(() => database.close())
  const { db, dialect } = database
  for (const job of ['known', 'added']) {
    const rows = await db
      .selectFrom('piko_run')
      .select(['tick', 'state'])
      .where('job_id', '=', job)
      .orderBy('tick')
      .execute()
    const ticks = rows.map(({ tick }) => (tick === null ? 0 : dialect.date(tick).getTime()))
    const gaps = ticks.slice(1).map((tick, index) => tick - (ticks[index] ?? 0))
    expect({ job, gaps: new Set(gaps) }).toEqual({ job, gaps: new Set([EVERY_MS]) })
    const states = new Set(rows.slice(0, -2).map(({ state }) => state))
    expect({ job, states }).toEqual({ job, states: new Set(['succeeded']) })
  }
})
