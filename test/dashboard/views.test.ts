import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBrowser } from '../support/chromium.ts'
import { daysEnded, type Served, serveApp } from './served-app.ts'
import { watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp()
  browser = await startBrowser()
  await daysEnded(served)
  await served.app.run('hourly', { wait: true })
  await served.app.backfills.create('daily', { from: '2026-01-01', to: '2026-01-03', only: 'all' })
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

const ZONES: Readonly<Record<string, string>> = { daily: 'Europe/Berlin', hourly: 'America/New_York' }

interface Time {
  readonly at: string
  readonly text: string
  /** The row of a table in which it stands. */
  readonly row: string
}

/** Runs in the page. */
const TIMES = `[...document.querySelectorAll('main time')].map((time) => ({
  at: time.dateTime, text: time.innerText, row: time.closest('tr')?.innerText ?? '' }))`

function textIn(at: string, timeZone: string): string {
  return new Date(at).toLocaleString('sv-SE', { timeZone })
}

it('each instant follows the zone of its job, on pages of one job and of many', async () => {
  const page = await watchedPage(browser)
  await page.goto(served.url)
  await page.getByLabel('Times in').selectOption('job')
  const [failed] = await served.app.runs.list({ jobId: 'daily', state: 'failed', limit: 1 })
  const ofOne = [
    ...[`/runs/${failed?.id}`, '/jobs/daily?year=2026&day=2026-01-05', '/backfills/1', '/why/daily?at=2026-01-05'],
    '/timeline?jobId=daily',
  ]
  const ofMany = ['/', '/runs', '/backfills', '/audit']
  for (const path of [...ofOne, ...ofMany]) {
    await page.goto(`${served.url}${path}`)
    const jobOf = ({ row }: Time): string =>
      ofMany.includes(path) ? (Object.keys(ZONES).find((id) => row.includes(id)) ?? '') : 'daily'
    const wrong = async (): Promise<Time[]> => {
      const times = await page.evaluate<Time[]>(TIMES)
      if (times.length === 0) return [{ at: '', text: 'no time yet', row: path }]
      return times.filter((time) => !time.text.startsWith(textIn(time.at, ZONES[jobOf(time)] ?? 'UTC')))
    }
    await expect.poll(wrong, { message: path }).toEqual([])
  }
  // The log and the drawn time axis have no element for an instant.
  const [line] = await served.app.runs.logs(failed?.id ?? 0)
  await page.goto(`${served.url}/runs/${failed?.id}`)
  await page
    .getByRole('log')
    .getByText(textIn(line?.at.toISOString() ?? '', 'Europe/Berlin'))
    .first()
    .waitFor()
})
