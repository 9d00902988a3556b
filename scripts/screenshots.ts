/** Writes docs/images/dashboard-*.png: every page of the dashboard, light and dark, with data of a temporary application. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineJob, Piko } from 'piko'
import { HttpService } from 'piko/http'
import { chromium, type Page } from 'playwright-core'
import { z } from 'zod'
import { ROOT } from './bundle.ts'
import { buildStaleDashboard } from './dashboard.ts'

const IMAGES = join(ROOT, 'docs/images')
/** How long a page may take until nothing of it loads any more. */
const PATIENCE_MS = 60_000
const DAYS = 1_461
const windows = { start: '2012-01-01T00:00:00Z', end: '2016-01-01T00:00:00Z', catchUp: 'all', parallel: 20 } as const
const SIZE = { width: 1200, height: 700 }

const weather = defineJob(
  {
    id: 'weather',
    description: 'One day of weather from the station into the table weather_day',
    cron: '0 0 * * *',
    timezone: 'UTC',
    windows,
  },
  (ctx) => {
    ctx.log.info(`GET /days/${ctx.window.start.toISOString().slice(0, 10)}`)
    if (ctx.window.start.getUTCFullYear() === 2014 && ctx.window.start.getUTCDate() % 13 === 0)
      throw shownError('GET /days answered 404: the station was off')
    ctx.log.info('wrote one row')
    return { rows: 1 }
  },
)
const monthly = defineJob(
  {
    id: 'weather_by_month',
    cron: '0 1 1 * *',
    dependsOn: ['weather'],
    windows: { ...windows, start: '2014-01-01', end: '2014-12-01' },
  },
  () => sleep(20),
)
const orders = defineJob(
  {
    id: 'sync_orders',
    description: 'Orders of the shop',
    cron: '*/15 * * * *',
    timezone: 'Europe/Berlin',
    concurrency: 4,
    config: z.object({ shop: z.string().default('eu'), pages: z.number().default(10) }),
  },
  async (ctx) => {
    await ctx.step('fetch', () => sleep(60 + Math.random() * 90))
    await ctx.step('write', () => sleep(20 + Math.random() * 30))
    ctx.log.info(`synced ${ctx.config.pages} pages of ${ctx.config.shop}`)
  },
)
const report = defineJob({ id: 'monthly_report', cron: '30 2 * * *', timezone: 'America/New_York' }, () => 'sent')

/** An error without the paths of this machine. */
function shownError(message: string): Error {
  const error = new Error(message)
  error.stack = `Error: ${message}\n    at fetchDay (jobs/weather.ts:24:13)`
  return error
}

await buildStaleDashboard()
const folder = mkdtempSync(join(tmpdir(), 'piko-screenshots-'))
const app = new Piko({
  jobs: [weather, monthly, orders, report],
  settings: { piko: { log_level: 'silent', poll_interval: '50ms' }, sqlite: { path: join(folder, 'piko.db') } },
})
const http = app.addService(new HttpService(app, { host: '127.0.0.1', port: 0 }), { first: true })
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] })
try {
  await app.start()
  for (const config of [{ shop: 'eu' }, { shop: 'us', pages: 20 }]) await app.configs.set('sync_orders', config)
  for (let round = 0; round < 12; round += 1)
    await Promise.all(Array.from({ length: 5 }, () => app.run('sync_orders', { wait: true })))
  for (let ended = 0; ended < DAYS; await sleep(200)) {
    const { counts } = await app.windows.summary('weather')
    ended = counts.succeeded + counts.failed
  }
  const [failed] = await app.runs.list({ jobId: 'weather', state: 'failed', limit: 1 })
  const [run] = await app.runs.list({ jobId: 'sync_orders', state: 'succeeded', limit: 1 })
  const backfill = await app.backfills.create('weather', { from: '2014-01-01', to: '2014-07-01', only: 'failed' })
  await app.tokens.create({ name: 'the night shift', role: 'operator' })
  await shootAll({ failed: failed?.id ?? 0, run: run?.id ?? 0, backfill: backfill.id })
} finally {
  await browser.close()
  await app.stop()
  rmSync(folder, { recursive: true, force: true })
}

interface Shot {
  readonly path: string
  /** Brings the page into the state that the picture shows. */
  readonly act?: (page: Page) => Promise<void>
}

function shotsOf(ids: {
  readonly failed: number
  readonly run: number
  readonly backfill: number
}): Record<string, Shot> {
  return {
    overview: { path: '/' },
    grid: { path: '/grid?to=2014-12-01T00:00:00.000Z' },
    timeline: { path: '/timeline?span=300000' },
    job: { path: '/jobs/sync_orders', act: editSchedule },
    graph: { path: '/jobs/weather_by_month', act: (page) => shown(page.getByRole('region', { name: 'Graph of' })) },
    calendar: { path: '/jobs/weather?year=2014&day=2014-03-13', act: (page) => shown(page.locator('.calendar')) },
    why: { path: '/why/weather?at=2014-03-13' },
    runs: { path: '/runs?state=failed' },
    run: { path: `/runs/${ids.failed}` },
    steps: { path: `/runs/${ids.run}` },
    backfills: { path: '/backfills?jobId=weather' },
    'dry-run': { path: '/backfills?jobId=weather', act: dryRun },
    backfill: { path: `/backfills/${ids.backfill}` },
    nodes: { path: '/nodes' },
    audit: { path: '/audit' },
    tokens: { path: '/tokens' },
    palette: { path: '/', act: openPalette },
  }
}

async function shootAll(ids: Parameters<typeof shotsOf>[0]): Promise<void> {
  mkdirSync(IMAGES, { recursive: true })
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ viewport: SIZE, colorScheme })
    page.setDefaultTimeout(PATIENCE_MS)
    for (const [name, { path, act }] of Object.entries(shotsOf(ids))) {
      await page.goto(`${http.url}${path}`)
      await settled(page)
      await act?.(page)
      await settled(page)
      writeFileSync(join(IMAGES, `dashboard-${name}-${colorScheme}.png`), await page.screenshot())
    }
    await page.close()
  }
}

/** Waits until the page has its data. Its stream of events never ends, so the network is never idle. */
async function settled(page: Page): Promise<void> {
  await page.getByRole('heading', { level: 1 }).waitFor()
  const loading = page.locator('.loading')
  while ((await loading.count()) > 0) await loading.first().waitFor({ state: 'detached' })
  // Two frames: canvases draw after their data has come.
  await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
}

async function shown(element: ReturnType<Page['locator']>): Promise<void> {
  await element.waitFor()
  await element.scrollIntoViewIfNeeded()
}

async function editSchedule(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Change…' }).click()
  await page.getByLabel('Cron expression').fill('30 2 * * *')
  await page.getByText('Ticks of what is typed').or(page.getByText('At 02:30')).first().waitFor()
}

async function dryRun(page: Page): Promise<void> {
  await page.getByLabel('From (a day in its zone)').fill('2014-01-01')
  await page.getByLabel('Before').fill('2014-07-01')
  await page.getByLabel('Windows').selectOption('failed')
  await page.getByRole('button', { name: 'Dry run…' }).click()
  await page
    .getByRole('dialog')
    .getByRole('region', { name: 'Painted days' })
    .or(page.getByText('No window of'))
    .waitFor()
}

async function openPalette(page: Page): Promise<void> {
  await page.keyboard.press('Control+k')
  await page.getByRole('dialog').getByRole('combobox').fill('weather')
  await page.getByRole('dialog').getByRole('option').first().waitFor()
}
