/** Writes docs/images/dashboard-*.png: pages of the dashboard, light and dark, with data of a temporary application. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { HttpService } from 'piko/http'
import { chromium } from 'playwright-core'
import { ROOT } from './bundle.ts'
import { buildStaleDashboard } from './dashboard.ts'

const IMAGES = join(ROOT, 'docs/images')
const SHOWN_MS = 1_500
const DAYS = 1_461
const CALENDAR = '/jobs/weather?year=2014&day=2014-03-13'
const GRID = '/grid?to=2014-12-01T00:00:00.000Z'

const weather = defineJob(
  {
    id: 'weather',
    description: 'One day of weather from the station into the table weather_day',
    cron: '0 0 * * *',
    timezone: 'UTC',
    windows: { start: '2012-01-01T00:00:00Z', end: '2016-01-01T00:00:00Z', catchUp: 'all', parallel: 20 },
  },
  (ctx) => {
    ctx.log.info(`GET /days/${ctx.window.start.toISOString().slice(0, 10)}`)
    if (ctx.window.start.getUTCFullYear() === 2014 && ctx.window.start.getUTCDate() % 13 === 0)
      throw shownError('GET /days answered 404: the station was off')
    ctx.log.info('wrote one row')
    return { rows: 1 }
  },
)
const orders = defineJob(
  { id: 'sync_orders', description: 'Orders of the shop', cron: '*/15 * * * *', timezone: 'Europe/Berlin' },
  () => sleep(40),
)
const report = defineJob({ id: 'monthly_report', cron: '0 6 1 * *', timezone: 'America/New_York' }, () => 'sent')

/** An error without the paths of this machine. */
function shownError(message: string): Error {
  const error = new Error(message)
  error.stack = `Error: ${message}\n    at fetchDay (jobs/weather.ts:24:13)`
  return error
}

await buildStaleDashboard()
const folder = mkdtempSync(join(tmpdir(), 'piko-screenshots-'))
const app = new Piko({
  jobs: [weather, orders, report],
  settings: { piko: { log_level: 'silent', poll_interval: '50ms' }, sqlite: { path: join(folder, 'piko.db') } },
})
const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  await app.start()
  for (let run = 0; run < 20; run += 1) await app.run('sync_orders', { wait: true })
  for (let ended = 0; ended < DAYS; await sleep(200)) {
    const { counts } = await app.windows.summary('weather')
    ended = counts.succeeded + counts.failed
  }
  const [failed] = await app.runs.list({ jobId: 'weather', state: 'failed', limit: 1 })
  await app.backfills.create('weather', { from: '2014-01-01', to: '2014-07-01', only: 'failed' })
  await shoot(http.url ?? '', `/runs/${failed?.id}`)
} finally {
  await browser.close()
  await app.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function shoot(url: string, run: string): Promise<void> {
  mkdirSync(IMAGES, { recursive: true })
  const light = { overview: '/', calendar: CALENDAR, grid: GRID, run, backfills: '/backfills', nodes: '/nodes' }
  await shootIn('light', url, light)
  await shootIn('dark', url, { overview: '/', calendar: CALENDAR, grid: GRID })
}

async function shootIn(
  colorScheme: 'light' | 'dark',
  url: string,
  pages: Readonly<Record<string, string>>,
): Promise<void> {
  const page = await browser.newPage({ viewport: { width: 1200, height: 700 }, colorScheme })
  for (const [name, path] of Object.entries(pages)) {
    await page.goto(`${url}${path}`)
    await sleep(SHOWN_MS)
    if (name === 'calendar')
      await page.evaluate("document.querySelector('.calendar').scrollIntoView({ block: 'center' })")
    writeFileSync(join(IMAGES, `dashboard-${name}-${colorScheme}.png`), await page.screenshot())
  }
  await page.close()
}
