import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import type { Browser, CDPSession, Page } from 'playwright-core'
import { startBrowser } from '../test/support/chromium.ts'
import { NodeProcess } from './harness/node-process.ts'
import { percentile } from './harness/percentile.ts'

const GOALS = { dataMs: 1_000, framesPerSecond: 50, heapMb: 20 } as const
const SCROLL_MS = 5_000
const WHEEL_PIXELS = 120
const MB = 1e6
/** As many events as an hour has at 200 a second. */
const EVENTS = 720_000
const EVENTS_A_STREAM = 36_000
const PATIENCE_MS = 120_000

const SERVE = new URL('./scripts/dashboard-serve.ts', import.meta.url)

/**
 * Opens every page of a served dashboard in Chromium: the time until each shows its data, the frames while the grid scrolls, and the heap
 * after an hour's events. Exit code 1 if a goal is missed.
 *
 * The server is another process: that of `--url`, or one on the SQLite file of `--path`, such as `bench -- api-scale --path` has filled.
 * The frames are those of a store of their own, with `--grid` jobs x windows; it is made once if `--grid-path` names its file.
 */
export async function dashboard(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      url: { type: 'string' },
      path: { type: 'string' },
      grid: { type: 'string', default: '500x10000' },
      'grid-path': { type: 'string' },
      repeat: { type: 'string', default: '5' },
      events: { type: 'string', default: String(EVENTS) },
      only: { type: 'string', default: 'pages,frames,heap' },
    },
  })
  const misses: string[] = []
  const report = (name: string, value: number, unit: string, isMissed: boolean): void => {
    console.log(`${name.padEnd(34)} ${value.toFixed(1).padStart(9)} ${unit}${isMissed ? '  MISSED' : ''}`)
    if (isMissed) misses.push(name)
  }
  const browser = await startBrowser()
  const pages = async (url: string): Promise<void> => {
    for (const path of await pathsOf(url)) {
      const times = await timesOf(browser, `${url}${path}`, Number(values.repeat))
      const p95 = percentile(times, 95)
      report(`${path.slice(0, 30)} p50`, percentile(times, 50), 'ms', false)
      report(`${path.slice(0, 30)} p95`, p95, 'ms', p95 > GOALS.dataMs)
    }
  }
  try {
    if (values.only.includes('pages')) await withServer(values, pages)
    if (values.only.includes('frames')) {
      const frames = await withGrid(values.grid, values['grid-path'], (url) => framesOf(browser, `${url}/grid?by=hour`))
      report(`grid of ${values.grid}, frames a second`, frames, '/s', frames < GOALS.framesPerSecond)
    }
    if (values.only.includes('heap')) {
      const grown = await withServer(values, (url) => heapGrowth(browser, url, Number(values.events)))
      report(`heap after ${values.events} events`, grown, 'MB more', grown > GOALS.heapMb)
    }
  } finally {
    await browser.close()
  }
  if (misses.length > 0) process.exitCode = 1
}

async function withServer<T>(
  { url, path }: { readonly url?: string | undefined; readonly path?: string | undefined },
  measure: (url: string) => Promise<T>,
): Promise<T> {
  if (path === undefined) return measure(url ?? 'http://127.0.0.1:9464')
  await using server = await NodeProcess.start(SERVE, { path })
  return await measure(await server.told('ready'))
}

/** Serves a new store with this number of jobs, and of windows of each job. */
async function withGrid<T>(size: string, kept: string | undefined, measure: (url: string) => Promise<T>): Promise<T> {
  const [jobs, windows] = size.split('x').map(Number)
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-grid-'))
  const path = kept ?? join(folder, 'grid.db')
  const grid = existsSync(path) ? undefined : { jobs, windows }
  try {
    await using server = await NodeProcess.start(SERVE, { path, grid })
    return await measure(await server.told('ready'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The pages, with the newest run and backfill and the first job with windows of the store. */
async function pathsOf(url: string): Promise<string[]> {
  const first = async (path: string): Promise<Readonly<Record<string, unknown>> | undefined> => {
    const response = await fetch(`${url}/api/v1${path}`)
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`)
    const { items } = (await response.json()) as { items: Readonly<Record<string, unknown>>[] }
    return items.find((item) => path !== '/jobs' || item['windows'] !== null) ?? items[0]
  }
  const [run, job, backfill] = [await first('/runs?limit=1'), await first('/jobs'), await first('/backfills?limit=1')]
  const id = encodeURIComponent(String(job?.['id']))
  return [
    ...['/', '/grid', '/timeline', `/timeline?span=2592000000`, '/runs', '/runs?state=failed', `/runs?jobId=${id}`],
    ...[`/runs/${String(run?.['id'])}`, `/jobs/${id}`, `/why/${id}`, '/backfills'],
    ...(backfill ? [`/backfills/${String(backfill['id'])}`] : []),
    ...['/nodes', '/audit', '/tokens'],
  ]
}

/** Milliseconds from the navigation until nothing of the page loads any more. The first load fills the caches and does not count. */
async function timesOf(browser: Browser, url: string, repeat: number): Promise<number[]> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
  const page = await context.newPage()
  const times: number[] = []
  for (let round = 0; round <= repeat; round += 1) {
    const began = performance.now()
    await page.goto(url, { waitUntil: 'commit', timeout: PATIENCE_MS })
    await hasData(page)
    if (round > 0) times.push(performance.now() - began)
  }
  await context.close()
  return times
}

async function hasData(page: Page): Promise<void> {
  await page.getByRole('heading', { level: 1 }).waitFor({ timeout: PATIENCE_MS })
  const loading = page.locator('.loading, [aria-busy="true"]')
  while ((await loading.count()) > 0) await loading.first().waitFor({ state: 'detached', timeout: PATIENCE_MS })
}

/** Frames a second while the grid scrolls, as the browser's own tracing counts them. */
async function framesOf(browser: Browser, url: string): Promise<number> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  await page.goto(url)
  await hasData(page)
  await page.getByRole('application').hover()
  const session = await page.context().newCDPSession(page)
  const events: { readonly name: string; readonly ts: number }[] = []
  session.on('Tracing.dataCollected', ({ value }) => events.push(...(value as unknown as typeof events)))
  await session.send('Tracing.start', {
    categories: 'disabled-by-default-devtools.timeline.frame,devtools.timeline.frame',
  })
  const began = performance.now()
  for (let step = 0; performance.now() - began < SCROLL_MS; step += 1) {
    const direction = step % 40 < 20 ? 1 : -1
    await page.mouse.wheel(direction * WHEEL_PIXELS, direction * WHEEL_PIXELS)
  }
  const complete = new Promise((resolve) => session.once('Tracing.tracingComplete', resolve))
  await session.send('Tracing.end')
  await complete
  const drawn = events.filter(({ name }) => name === 'DrawFrame').map(({ ts }) => ts)
  await page.close()
  const seconds = (Math.max(...drawn) - Math.min(...drawn)) / 1_000_000
  return drawn.length / seconds
}

/** Megabytes that the heap of the overview has grown after many events, once its garbage is collected. */
async function heapGrowth(browser: Browser, url: string, events: number): Promise<number> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  let sent = 0
  await page.route('**/api/v1/events*', async (route) => {
    if (sent >= events) return sleep(PATIENCE_MS).then(() => route.abort())
    const body = streamOf(sent, Math.min(EVENTS_A_STREAM, events - sent))
    sent += EVENTS_A_STREAM
    return route.fulfill({ status: 200, contentType: 'text/event-stream', body })
  })
  await page.goto(url)
  await hasData(page)
  const session = await page.context().newCDPSession(page)
  const before = await heapMb(session)
  // Each end of a stream is a new connection, after a second or more.
  for (let last = -1; sent < events || last !== sent; await sleep(1_000)) last = sent
  await sleep(5_000)
  const after = await heapMb(session)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  await page.close()
  return after - before
}

async function heapMb(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  return usedSize / MB
}

function streamOf(first: number, count: number): string {
  const events = Array.from({ length: count }, (_, index) => {
    const id = 1_000_000_000 + first + index
    const event = {
      id,
      at: '2026-01-01T00:00:00.000Z',
      kind: 'run',
      runId: id,
      jobId: `job-${id % 500}`,
      state: 'succeeded',
      attempt: 1,
    }
    return `id: ${id}\ndata: ${JSON.stringify(event)}\n\n`
  })
  return events.join('')
}
