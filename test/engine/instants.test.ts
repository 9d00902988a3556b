import { beforeEach, describe, expect, it } from 'vitest'
import type { Piko } from '../../src/app/piko.ts'
import { defineJob } from '../../src/job/define-job.ts'
import type { ScheduleSpec } from '../../src/time/schedule.ts'
import type { Database } from '../../src/store/connection/database.ts'
import { eventually, nextEvent, startApp } from '../support/app.ts'
import { describeEachStore } from '../support/databases.ts'
import { rejected } from '../support/thrown.ts'

const START = '2025-01-01T00:00:00Z'
const END = '2025-01-01T00:03:00Z'

/** Texts that `Date` accepts but other machines or other versions of the runtime read differently. */
const WRONG = [
  ...['2025-02-30T00:00:00Z', '2025-01-01T24:00:00Z', '2025-01-01T00:00:60Z', '2025-01-01T00:00:00', '2025-02-30'],
  ...[
    'Jan 15 2025',
    'Wed, 15 Jan 2025 00:00:00 GMT',
    '2025',
    '1.5',
    '',
    '2025-01-01 00:00:00Z',
    '2025-01-01T00:00:00+2',
  ],
  ...['+012025-01-01T00:00:00Z', '0001-01-01T00:00:00Z', new Date(Number.NaN), new Date(8.64e15), 1_735_689_600_000],
] as const

/** The same instant: 2025-01-01T00:00:00Z. */
const RIGHT = ['2025-01-01T02:00:00+02:00', '2025-01-01T02:00:00+0200', '2024-12-31T19:00-05:00', new Date(START)]

describeEachStore((store) => {
  let database: Database

  beforeEach(async () => {
    database ??= await store.open()
    await store.empty()
  })

  const started = async (): Promise<Piko> => {
    const app = await startApp(store.options, [
      defineJob({ id: 'sync', every: '1m', windows: { start: START, end: END } }, () => {}),
      defineJob({ id: 'hourly', cron: '0 * * * *' }, () => {}),
    ])
    await eventually(async () => expect((await app.windows.summary('sync')).counts.succeeded).toBe(3))
    return app
  }

  /** All calls that accept an instant. */
  const uses = (app: Piko): Record<string, (value: Date) => Promise<unknown>> => ({
    'app.run window': (window) => app.run('sync', { window }),
    'app.run runAt': (runAt) => app.run('hourly', { runAt }),
    'app.enqueue runAt': (runAt) => app.enqueue('hourly', { runAt }),
    'app.enqueueMany runAt': (runAt) => app.enqueueMany('hourly', [{}, { runAt }]),
    'app.windows.list from': (from) => app.windows.list('sync', { from }),
    'app.windows.list to': (to) => app.windows.list('sync', { to }),
    'app.windows.coverage from': (from) => app.windows.coverage('sync', { from }),
    'app.windows.coverage to': (to) => app.windows.coverage('sync', { to }),
    'app.backfills.create from': (from) => app.backfills.create('sync', { from, to: END }),
    'app.backfills.create to': (to) => app.backfills.create('sync', { from: '2024-01-01T00:00:00Z', to }),
    'app.backfills.preview from': async (from) => {
      for await (const window of app.backfills.preview('sync', { from, to: END, only: 'all' })) return window
      return undefined
    },
    'app.runs.replay since': (since) => app.runs.replay({ jobId: 'sync', since }),
    'app.runs.replay since, dry': (since) => app.runs.replay({ jobId: 'sync', since, dryRun: true }),
    'app.configs.set effectiveFrom': (effectiveFrom) => app.configs.set('sync', {}, { effectiveFrom }),
    'app.jobs.why tick': (tick) => app.jobs.why('sync', tick),
  })

  describe('an instant', () => {
    it('is refused by every call that accepts one if it is not ISO 8601 with a zone, or does not exist', async () => {
      const app = await started()
      for (const [name, use] of Object.entries(uses(app))) {
        for (const value of WRONG) {
          const error = await rejected(use(value as Date))
          const code = name === 'app.run window' ? 'WINDOW_UNKNOWN' : 'USAGE'
          expect([name, value, error.code]).toEqual([name, value, code])
          expect(error.message).toMatch(/ is .*; expected /)
        }
      }
      expect(await app.runs.list({ jobId: 'hourly', state: 'succeeded' })).toEqual([])
      expect(await app.backfills.list()).toEqual([])
      expect(await app.configs.history('sync')).toEqual([])
    })

    it('is the same for every call that accepts one, whatever its zone', async () => {
      const app = await started()
      for (const [name, use] of Object.entries(uses(app)).filter(([name]) => name !== 'app.backfills.create to')) {
        for (const value of RIGHT) {
          await eventually(() => use(value as Date)).catch((error: unknown) => {
            throw new Error(`${name} refuses ${String(value)}`, { cause: error })
          })
        }
      }
      const versions = await app.configs.history('sync')
      expect(versions.map(({ effectiveFrom }) => effectiveFrom)).toEqual(RIGHT.map(() => new Date(START)))
    })

    it.each(['at', 'start', 'end', 'anchor'] as const)(
      'as %s of a schedule set at run time is refused',
      async (option) => {
        const app = await started()
        for (const value of WRONG.filter((value) => typeof value === 'string')) {
          const schedule =
            option === 'at'
              ? { kind: 'at', at: value }
              : { kind: 'every', everyMs: 60_000, anchor: START, [option]: value }
          const error = await rejected(app.schedules.set('hourly', schedule as ScheduleSpec))
          expect([value, error.code, error.details['option']]).toEqual([value, 'SCHEDULE_INVALID', option])
        }
      },
    )

    it('of a schedule edited in its row is refused, and the previous schedule stays in force', async () => {
      const app = await started()
      const refused = nextEvent(app, 'schedule.refused', ({ jobId }) => jobId === 'hourly')
      await database.db
        .updateTable('piko_job')
        .set({ schedule: '{"kind":"at","at":"2026-02-30T00:00:00Z"}' })
        .where('id', '=', 'hourly')
        .execute()
      expect((await refused).error.message).toBe(
        'job "hourly": at is "2026-02-30T00:00:00Z"; expected a day that exists: 2026-02 has 28 days; correct it',
      )
      expect((await app.jobs.list()).find(({ id }) => id === 'hourly')?.plannedSchedule).toContain('0 * * * *')
    })
  })
})
