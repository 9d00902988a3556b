import { beforeEach, describe, expect, it } from 'vitest'
import { defineJob } from '../../../src/job/define-job.ts'
import { windowFigures } from '../../../src/store/figures/figure-store.ts'
import { storeOn } from '../../../src/store/store.ts'
import { eventually, startApp } from '../../support/app.ts'
import { describeEachStore } from '../../support/databases.ts'

const HOUR = 3_600_000
const NOW = Date.UTC(2026, 0, 2)
const counts = { pending: 0, waiting: 0, failed: 0, stale: 0 }
const ledger = { cursor: NOW, nextTick: NOW + HOUR, hole: undefined, missing: undefined, missingEnd: undefined, counts }

describe('windowFigures', () => {
  it('are all 0 if all data is there', () => {
    expect(windowFigures(NOW + 1_000, ledger)).toMatchObject({
      ...{ watermark: NOW / 1_000, ageSeconds: 1, lagSeconds: 0, overdueSeconds: 0, oldestMissing: undefined },
    })
  })

  it('count from the end of the oldest window without data', () => {
    const hole = NOW - 5 * HOUR
    const figures = windowFigures(NOW, { ...ledger, hole, missing: hole, missingEnd: hole + HOUR })
    expect(figures).toMatchObject({ lagSeconds: 5 * 3_600, overdueSeconds: 4 * 3_600, oldestMissing: hole / 1_000 })
  })

  it('do not call data late that a person has cancelled', () => {
    expect(windowFigures(NOW, { ...ledger, hole: NOW - HOUR })).toMatchObject({ lagSeconds: 3_600, overdueSeconds: 0 })
  })

  it('call data late that nobody has planned', () => {
    const figures = windowFigures(NOW, { ...ledger, cursor: NOW - 3 * HOUR, nextTick: NOW - 2 * HOUR })
    expect(figures).toMatchObject({ lagSeconds: 7_200, overdueSeconds: 7_200, oldestMissing: NOW / 1_000 - 3 * 3_600 })
  })
})

describeEachStore((fixture) => {
  beforeEach(() => fixture.empty())

  it('read the fleet: watermarks, windows, the queue, nodes and the leader', async () => {
    const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-04T00:00:00Z' }
    const broken = defineJob({ id: 'broken', cron: '0 0 * * *', windows, deadline: '2h' }, ({ window }) => {
      if (window.start.getTime() === Date.UTC(2026, 0, 2)) throw new Error('no')
    })
    const waiting = defineJob({ id: 'waiting', cron: '0 0 * * *', windows, dependsOn: [broken] }, () => {})
    const held = defineJob(
      { id: 'held', priority: 3, concurrency: 1 },
      ({ signal }) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')))
        }),
    )
    const app = await startApp(fixture.options, [broken, waiting, held], {
      settings: { piko: { shutdown_timeout: '1s' } },
    })
    const database = await fixture.open()
    await app.enqueueMany(held, [{}, {}, {}])
    const figures = async (): Promise<Map<string, string>> => {
      const { body } = await app.metrics()
      return new Map(body.split('\n').map((line) => line.split(' ') as [string, string]))
    }
    await eventually(async () => {
      const { jobs, queue, running } = await storeOn(database).figures.read()
      expect(jobs.find(({ jobId }) => jobId === 'broken')?.windows?.counts).toMatchObject({ failed: 1, pending: 0 })
      expect(jobs.find(({ jobId }) => jobId === 'waiting')?.windows?.counts).toMatchObject({ waiting: 1, pending: 0 })
      expect([queue, running]).toMatchObject([[{ jobId: 'held', priority: 3, runs: 2 }], 1])
    })
    const lines = await figures()
    expect(lines.get('piko_job_watermark_timestamp_seconds{job_id="broken"}')).toBe(
      String(Date.UTC(2026, 0, 2) / 1_000),
    )
    expect(lines.get('piko_job_watermark_lag_seconds{job_id="broken"}')).toBe(String(2 * 86_400))
    expect(lines.get('piko_job_deadline_seconds{job_id="broken"}')).toBe('7200')
    expect(Number(lines.get('piko_job_overdue_seconds{job_id="waiting"}'))).toBeGreaterThan(86_400)
    expect([lines.get('piko_fleet_leader'), lines.get('piko_fleet_known'), lines.get('piko_fleet_nodes')]).toEqual([
      '1',
      '1',
      '1',
    ])
    expect(lines.get('piko_job_run_total{job_id="held",status="failed"}')).toBe('0')
    expect(Number(lines.get('piko_claim_runs_total'))).toBeGreaterThan(0)
    expect(lines.get('piko_store_connections{state="size"}')).toBe(fixture.name === 'mysql' ? '10' : undefined)
  })

  it('counts the queue by priority without what is due later, and windows up to a limit', async () => {
    const database = await fixture.open()
    const store = storeOn(database)
    const later = new Date(Date.now() + HOUR)
    const queued = [
      ...Array.from({ length: 30 }, () => ({ jobId: 'later', priority: 0, runAt: later })),
      ...['ship', 'ship', 'bill'].map((jobId) => ({ jobId, priority: 5 })),
      { jobId: 'ship', priority: 7 },
    ]
    await store.runs.enqueue(queued.map((run) => ({ kind: 'manual' as const, ...run })))
    const { queue, isQueueCapped } = await store.figures.read()
    expect(isQueueCapped).toBe(false)
    expect(queue.map(({ jobId, priority, runs }) => [priority, jobId, runs]).sort()).toEqual([
      [5, 'bill', 1],
      [5, 'ship', 2],
      [7, 'ship', 1],
    ])
    const ledger = { windows: '{}', schedule: null, description: undefined }
    const begin = { nextTick: undefined, windowCursor: new Date(NOW) }
    await store.jobs.register([{ id: 'wide', ...ledger, begin }])
    const at = (minute: number): Date | string => database.dialect.instant(new Date(NOW + minute * 60_000))
    for (let from = 0; from < 10_500; from += 1_500) {
      const rows = Array.from({ length: 1_500 }, (_, index) => ({
        ...{ job_id: 'wide', state: 'failed' as const, updated_at: at(0) },
        ...{ start_at: at(from + index), end_at: at(from + index + 1) },
      }))
      await database.db.insertInto('piko_window').values(rows).execute()
    }
    const [wide] = (await store.figures.read()).jobs
    expect(wide?.windows?.counts).toEqual({ pending: 0, waiting: 0, failed: 10_000, stale: 0 })
  })
})
