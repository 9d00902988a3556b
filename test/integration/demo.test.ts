import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Summary } from '../../examples/weather/report.ts'
import { readWeatherFile } from '../../examples/weather/source.ts'
import { startStation } from '../../examples/weather/station.ts'
import { type Database, openDatabase } from '../../src/store/connection/database.ts'
import { eventually } from '../support/app.ts'
import { startBrowser } from '../support/chromium.ts'
import { createMysqlDatabase } from '../support/databases.ts'
import { confirm, watchedPage } from '../dashboard/watched-page.ts'
import { ExampleProcess } from './example-process.ts'

const DAYS = 1_461

interface Place {
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** The demo's database, opened while the demo runs. */
  open(): Promise<Database>
}

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'piko-demo-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function opened(options: Parameters<typeof openDatabase>[0]): Promise<Database> {
  const database = await openDatabase(options)
  onTestFinished(() => database.close())
  return database
}

async function onSqlite(): Promise<Place> {
  const cwd = emptyFolder()
  const sqlitePath = join(cwd, 'demo.db')
  return { cwd, env: { PIKO_SQLITE__PATH: sqlitePath }, open: () => opened({ sqlitePath }) }
}

async function onMysql(): Promise<Place> {
  const { dsn, options, drop } = await createMysqlDatabase()
  onTestFinished(drop)
  const env = { PIKO_MYSQL__DSN: dsn, PIKO_LEASE: '2s' }
  return { cwd: emptyFolder(), env, open: () => opened({ mysql: options }) }
}

const demo = ({ cwd, env }: Place, args: readonly string[] = [], more: Record<string, string> = {}): ExampleProcess =>
  new ExampleProcess('weather/main.ts', { args, cwd, env: { ...env, ...more } })

async function summaryOf(run: ExampleProcess): Promise<Summary> {
  const exit = await run.end()
  expect(exit, run.stdout + run.stderr).toBe(0)
  return JSON.parse(run.stdout) as Summary
}

const windowsDone = (line: string): number | undefined => {
  const done = Number(/^ {2}([\d,]+) of 1,461 windows$/.exec(line)?.[1]?.replace(',', ''))
  return done >= 200 ? done : undefined
}

async function expectEveryDayOnce(place: Place): Promise<void> {
  const { sql } = await place.open()
  const [table] = await sql.query('SELECT COUNT(*) AS n, COUNT(DISTINCT day) AS days FROM weather_day')
  expect(table).toEqual({ n: DAYS, days: DAYS })
  const runs = await sql.query('SELECT state, COUNT(*) AS n FROM piko_run GROUP BY state')
  expect(runs).toEqual([{ state: 'succeeded', n: DAYS }])
}

describe.each([
  ['SQLite', onSqlite],
  ['MySQL', onMysql],
])('the demo on %s', (_name, makePlace) => {
  test('is killed in the middle, continues where it stopped, and then has nothing to do', async () => {
    const place = await makePlace()
    const killed = demo(place)
    await killed.line(windowsDone)
    killed.kill('SIGKILL')
    expect(await killed.end()).toBe('SIGKILL')

    const second = await summaryOf(demo(place, ['--json']))
    expect(second).toMatchObject({ windows: { total: DAYS, succeeded: DAYS, failed: 0 }, rows: DAYS, mismatches: [] })
    expect(second.windows.elsewhere).toBeGreaterThanOrEqual(200)
    expect(second.windows.elsewhere).toBeLessThan(DAYS)
    expect(second.windows.run + second.windows.elsewhere).toBe(DAYS)
    await expectEveryDayOnce(place)

    const third = demo(place)
    expect(await third.end(), third.stderr).toBe(0)
    expect(third.stdout).toContain('nothing to do: all 1,461 windows had succeeded before; 0 windows run')
    expect(third.stdout).toContain('verified')
  })
})

/** What a newcomer does: four years as a calendar, a day, its run, its log, its row, run it again. */
async function runDayAgain(calendar: string, { sql }: Database): Promise<void> {
  const day = '2014-02-03'
  const browser = await startBrowser()
  onTestFinished(() => browser.close())
  const page = await watchedPage(browser)
  await page.goto(calendar)
  for (const year of [2012, 2013, 2014, 2015]) await page.getByRole('group', { name: `Days of ${year}` }).waitFor()
  await page.getByRole('button', { name: `${day}: 1 succeeded` }).click()
  const windows = page.getByRole('region', { name: 'Windows' })
  await windows.locator('a[href^="/runs/"]').first().click()
  await page.getByText(`GET /days/${day} answered 200 with 1 row`).waitFor()
  await page.getByRole('region', { name: 'Output' }).getByText(day).first().waitFor()
  // The attempt as a timeline: its resource was borrowed, and its sink flushed.
  await page.locator('.timeline').getByText('handler').waitFor()
  const first = page.url()
  await page.getByRole('button', { name: 'Run again with other input' }).click()
  await page.getByRole('button', { name: 'Run…', exact: true }).click()
  await confirm(page, `Its window that begins at ${day}`, 'to see it run')
  await page.waitForURL((url) => url.href !== first)
  await page.getByText(`GET /days/${day} answered 200 with 1 row`).waitFor()
  await page.getByRole('region', { name: 'Output' }).getByText(day).first().waitFor()
  // Until the new run is loaded, the page still shows the first one, with the same log and output.
  await eventually(async () => {
    const [rows] = await sql.query(`SELECT COUNT(*) AS n FROM weather_day WHERE day = '${day}'`)
    const [runs] = await sql.query(`SELECT COUNT(*) AS n FROM piko_run WHERE state = 'succeeded'`)
    expect([rows, runs]).toEqual([{ n: 1 }, { n: DAYS + 1 }])
  })
  // A page that is left open reports an error when its server stops.
  await page.goto('about:blank')
}

describe('the demo', () => {
  test('names a failed window and the reason, and runs it again the next time', async () => {
    const place = await onSqlite()
    const file = readWeatherFile()
    const lines = new Map(file.lines)
    lines.delete('2014-02-03')
    const station = await startStation({ ...file, lines })
    onTestFinished(() => station.close())

    const incomplete = demo(place, [], { WEATHER_STATION_URL: station.url })
    expect(await incomplete.end()).toBe(1)
    expect(incomplete.stdout).toContain('1,460 succeeded, 1 failed')
    expect(incomplete.stdout).toMatch(/window 2014-02-03 failed: GET \/days\/2014-02-03 answered 404/)
    expect(incomplete.stdout).toContain('mismatch: 1 day is missing in the table: 2014-02-03')

    const repaired = await summaryOf(demo(place, ['--json']))
    expect(repaired).toMatchObject({ windows: { succeeded: DAYS, failed: 0, run: 1 }, mismatches: [] })
  })

  test('finds a changed, a missing and a repeated row in its table', async () => {
    const place = await onSqlite()
    await summaryOf(demo(place, ['--json']))
    const { sql } = await place.open()
    await sql.exec("UPDATE weather_day SET wind = wind + 1 WHERE day = '2013-05-05'")
    await sql.exec("UPDATE weather_day SET day = '2013-05-06' WHERE day = '2013-05-07'")

    const run = demo(place)
    expect(await run.end()).toBe(1)
    expect(run.stdout).toMatch(/mismatch: sum of wind: the table has [\d.]+, the file [\d.]+/)
    expect(run.stdout).toContain('mismatch: 1 day is missing in the table: 2013-05-07')
    expect(run.stdout).toContain('mismatch: 1 day is more than once in the table: 2013-05-06')
  })

  test('serves health, metrics and a dashboard, in which a day runs again, until it is stopped', async () => {
    const place = await onSqlite()
    const run = demo(place, ['--serve'], { PIKO_HTTP__PORT: '0' })
    const calendar = await run.line((line) => /^dashboard: (http:\S+)$/.exec(line)?.[1])
    const url = await run.line((line) => /^ {2}(http:\S+)\/metrics$/.exec(line)?.[1])
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/piko_job_run_total\{job_id="weather",status="succeeded"\} 1461/)
    await runDayAgain(calendar, await place.open())
    run.kill('SIGTERM')
    expect(await run.end(), run.stderr).toBe(0)
  })

  test('stops cleanly on SIGINT in the middle of its work', async () => {
    const place = await onSqlite()
    const run = demo(place)
    await run.line(windowsDone)
    run.kill('SIGINT')
    expect(await run.end(), run.stderr).toBe(130)
    expect(run.stdout).toContain('interrupted; run the demo again to go on')
    const { sql } = await place.open()
    expect(await sql.query("SELECT id FROM piko_run WHERE state = 'running'")).toEqual([])
    expect(await sql.query('SELECT id FROM piko_node')).toEqual([])
  })
})
