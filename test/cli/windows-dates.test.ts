import { expect, it } from 'vitest'
import { createMysqlDatabase } from '../support/databases.ts'
import { errorOf, Project, until } from './project.ts'

const JOBS = `
import { defineJob } from 'piko'
const windows = { start: '2025-01-01', end: '2026-01-01', grid: '0 0 * * *', catchUp: 'none', parallel: 50 }
export const day = defineJob({ id: 'day', cron: '0 3 * * *', timezone: 'Europe/Berlin', windows }, ({ window }) => (window.end - window.start) / 3_600_000)
export const later = defineJob(
  { id: 'later', timezone: 'Europe/Berlin', windows: { start: '2025-01-01', grid: '0 0 * * *', delay: '3h', catchUp: 'none' } },
  () => {},
)
`

interface Day {
  start: string
  end: string
  date: string | null
}

const HOUR_MS = 3_600_000

it.each(['sqlite', 'mysql'])(
  'the Berlin day at 03:00: 2025 is backfilled and printed as dates, on %s',
  async (store) => {
    const mysql = store === 'mysql' ? await createMysqlDatabase() : undefined
    try {
      const env: Record<string, string> = mysql ? { PIKO_MYSQL__DSN: mysql.dsn } : {}
      const project = new Project({ 'jobs.mjs': JOBS })
      const piko = async (...args: string[]) => project.piko(args, env)
      const node = project.start(['start', '--json'], env)
      await node.started()

      const year = ['--from', '2025-01-01', '--to', '2026-01-01']
      const dry = await piko('backfills', 'create', 'day', ...year, '--dry-run')
      expect(dry.stdout.split('\n').slice(0, 1)).toEqual([
        '2024-12-31T23:00:00Z  2025-01-01T23:00:00Z  missing  2025-01-01 (Europe/Berlin)',
      ])
      const made = await piko('backfills', 'create', 'day', ...year, '--follow')
      expect(made.code, made.stderr).toBe(0)
      expect(made.stdout).toContain(
        '2024-12-31T23:00:00Z to 2025-12-31T23:00:00Z, 2025-01-01 to 2026-01-01 (Europe/Berlin)',
      )

      const list = await piko('windows', 'list', 'day', ...year, '--limit', '1000', '--state', 'succeeded', '--json')
      const { timezone, windows } = JSON.parse(list.stdout) as { timezone: string; windows: Day[] }
      expect([timezone, windows.length]).toEqual(['Europe/Berlin', 365])
      const hours = windows.map(({ start, end }) => (Date.parse(end) - Date.parse(start)) / HOUR_MS)
      expect(windows.flatMap(({ date }, index) => (hours[index] === 24 ? [] : `${date} ${hours[index]}`))).toEqual([
        '2025-03-30 23',
        '2025-10-26 25',
      ])
      expect(windows.map(({ date }) => date)).toEqual(
        Array.from({ length: 365 }, (_, index) => new Date(Date.UTC(2025, 0, 1 + index)).toISOString().slice(0, 10)),
      )
      const june = await piko('windows', 'list', 'day', '--from', '2025-06-15', '--to', '2025-06-17')
      expect(june.stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 4))).toEqual([
        ['START', 'END', 'LOCAL', 'STATE'],
        ['2025-06-14T22:00:00Z', '2025-06-15T22:00:00Z', '2025-06-15 (Europe/Berlin)', 'succeeded'],
        ['2025-06-15T22:00:00Z', '2025-06-16T22:00:00Z', '2025-06-16 (Europe/Berlin)', 'succeeded'],
        [''],
      ])

      if (store === 'mysql') {
        node.kill('SIGTERM')
        expect((await node.ended).code).toBe(0)
        return
      }
      // A date names the window to run; what names none is answered with its neighbours.
      const run = await piko('run', 'day', '--window', '2025-03-30', '--json')
      expect(JSON.parse(run.stdout)).toMatchObject({ state: 'succeeded', output: 23 })
      const refused = await piko('run', 'day', '--window', '2025-06-15T03:00:00+02:00', '--json')
      expect(errorOf(refused)).toMatchObject({ code: 'WINDOW_UNKNOWN' })
      expect(errorOf(refused).message).toContain(
        'the nearest are 2025-06-15 (Europe/Berlin) before it and 2025-06-16 (Europe/Berlin) after it; type 2025-06-15 or 2025-06-16',
      )
      const small = ['--from', '2025-06-15T01:00:00Z', '--to', '2025-06-15T02:00:00Z']
      expect(errorOf(await piko('backfills', 'create', 'day', ...small, '--json')).message).toContain(
        'the nearest are 2025-06-15 (Europe/Berlin) and 2025-06-16 (Europe/Berlin); type for example from 2025-06-15 to 2025-06-17',
      )

      // The same window by its date, its start and its tick at 03:00 of the next day.
      const why = async (time: string) => {
        const { takenAs, why: sentence } = JSON.parse((await piko('why', 'day', time, '--json')).stdout) as Record<
          string,
          string
        >
        return { takenAs, sentence: sentence?.replace(/: run .*/, '') }
      }
      const bounds = 'window 2025-06-14T22:00:00Z to 2025-06-15T22:00:00Z, 2025-06-15 (Europe/Berlin)'
      for (const time of ['2025-06-15', '2025-06-14T22:00:00Z']) {
        expect(await why(time)).toEqual({
          takenAs: 'start',
          sentence: `day at 2025-06-14T22:00:00Z, the start of ${bounds}`,
        })
      }
      expect(await why('2025-06-16T01:00:00Z')).toEqual({
        takenAs: 'tick',
        sentence: `day at 2025-06-16T01:00:00Z, the tick of ${bounds}`,
      })
      expect((await why('2025-06-15T12:00:00Z')).takenAs).toBe('inside')

      // Between a backfill and the live edge lies a hole.
      await piko('backfills', 'create', 'later', '--from', '2025-01-01', '--to', '2025-01-03', '--follow')
      const coverage = await until(async () => {
        const { stdout } = await piko('windows', 'coverage', 'later', '--json')
        return (JSON.parse(stdout) as { coverage: (Day & { state: string })[] }).coverage
      })
      expect(coverage.map(({ start, state }) => [start, state])).toEqual([
        ['2024-12-31T23:00:00.000Z', 'succeeded'],
        ['2025-01-02T23:00:00.000Z', 'missing'],
      ])
      expect((coverage[1]?.end ?? '') > '2026-06').toBe(true)
      const summary = await piko('windows', 'summary', 'later', '--json')
      expect(JSON.parse(summary.stdout)).toMatchObject({
        firstHole: { start: '2025-01-02T23:00:00.000Z', state: 'missing' },
      })

      node.kill('SIGTERM')
      expect((await node.ended).code).toBe(0)
    } finally {
      await mysql?.drop()
    }
  },
)
