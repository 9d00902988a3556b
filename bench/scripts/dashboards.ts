// Ten tasks of an operator in the dashboards of Piko, BullMQ and Sidequest: node bench/scripts/dashboards.ts. Prints a table for
// docs/dashboard.md: steps (clicks, choices, filled fields) and seconds in Chromium, from the first page, which has its data. One pass.
// Installs the peers into bench/peers, and Redis by apt.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { serveBullBoard } from '../dashboards/bull-board.ts'
import { type Dashboard, Hand, TASK_NAMES, type TaskName } from '../dashboards/hand.ts'
import { servePiko } from '../dashboards/piko.ts'
import { serveSidequest } from '../dashboards/sidequest.ts'
import { prepare } from '../harness/prepare.ts'
import { Servers } from '../harness/servers.ts'
import { startBrowser } from '../../test/support/chromium.ts'

/** A task that does not end in this time has met a page that has changed. */
const PATIENCE_MS = 30_000

interface Done {
  readonly steps: number
  readonly seconds: number
}

await prepare([
  { system: 'bull-board', variant: '', module: new URL('../peers/bull-board.ts', import.meta.url), server: 'redis' },
])
await using servers = new Servers()
const browser = await startBrowser()
const columns = [
  await measured(servePiko),
  await measured(async () => serveBullBoard(await (await servers.get('redis')).dsn())),
  await measured(() => serveSidequest(join(mkdtempSync(join(tmpdir(), 'piko-dashboards-')), 'sidequest.db'))),
]
await browser.close()
const cells = (row: readonly string[]): string => `| ${row.join(' | ')} |`
console.log(cells(['task', ...columns.map(({ version }) => version)]))
console.log(cells(['---', ...columns.map(() => '---')]))
for (const name of TASK_NAMES) console.log(cells([name, ...columns.map(({ results }) => results[name] ?? '')]))
// Sidequest and a queue of BullMQ may hold the process.
process.exit(0)

async function measured(serve: () => Promise<Dashboard>) {
  const dashboard = await serve()
  const { url, version, tasks } = dashboard
  const results: Partial<Record<TaskName, string>> = {}
  for (const name of TASK_NAMES) {
    const task = tasks[name]
    if (typeof task === 'string') results[name] = `no: ${task}`
    else {
      const { steps, seconds } = await timed(browser, url, name, task)
      results[name] = `${steps} ${steps === 1 ? 'step' : 'steps'}, ${seconds.toFixed(1)} s`
    }
  }
  await dashboard.close()
  return { version, results }
}

/** Times a task from its first step; the first page is open. */
async function timed(on: Browser, url: string, name: TaskName, task: (hand: Hand) => Promise<void>): Promise<Done> {
  const page = await on.newPage({ viewport: { width: 1280, height: 900 } })
  page.setDefaultTimeout(PATIENCE_MS)
  await page.goto(url)
  await page.waitForLoadState('load')
  const hand = new Hand(page)
  // The first page must have its data, which each dashboard loads in its own way.
  await page
    .getByText(/sync_orders|Jobs/)
    .first()
    .waitFor()
  const began = performance.now()
  try {
    await task(hand)
  } catch (cause) {
    throw new Error(`"${name}" on ${url} did not end`, { cause })
  }
  const seconds = (performance.now() - began) / 1_000
  await page.close()
  return { steps: hand.steps, seconds }
}
