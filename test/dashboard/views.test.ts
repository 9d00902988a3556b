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

it('the address of a view shows a colleague the same: zone, page of a list, selection, run and dry run', async () => {
  const { app } = served
  await app.enqueueMany(
    'hourly',
    Array.from({ length: 120 }, () => ({})),
  )
  const [page, colleague] = [await watchedPage(browser), await watchedPage(browser)]
  const send = async (): Promise<void> => void (await colleague.goto(page.url()))
  const inAddress = (text: string) => expect.poll(() => page.url()).toContain(text)

  // The second page of the runs, in the zones of their jobs.
  await page.goto(`${served.url}/runs?jobId=hourly`)
  await page.getByLabel('Times in').selectOption('job')
  const runs = (of: typeof page) => of.getByRole('region', { name: 'Runs' }).last().getByRole('link', { name: /^\d+$/ })
  await expect.poll(() => runs(page).count()).toBe(100)
  const newest = await runs(page).first().innerText()
  await page.getByRole('button', { name: 'Older' }).click()
  await expect.poll(() => runs(page).count()).toBe(21)
  await inAddress('cursor=')
  await inAddress('zone=job')
  await send()
  await expect.poll(() => runs(colleague).count()).toBe(21)
  expect(await runs(colleague).first().innerText()).toBe(await runs(page).first().innerText())
  expect(await colleague.getByLabel('Times in').inputValue()).toBe('job')
  await colleague.getByRole('button', { name: 'Newer' }).click()
  await expect.poll(() => runs(colleague).first().innerText()).toBe(newest)
  await page.getByLabel('Times in').selectOption('utc')
  await expect.poll(() => page.url()).not.toContain('zone=')

  // The selection of the grid.
  await page.goto(`${served.url}/grid?to=2026-01-12T00:00:00.000Z`)
  await page.getByRole('application').focus()
  for (const key of ['End', 'ArrowLeft', 'Shift+ArrowLeft']) await page.keyboard.press(key)
  await inAddress('row=daily&from=2026-01-09')
  await send()
  await colleague.getByRole('heading', { name: 'Selected: daily' }).waitFor()
  await colleague.getByText('day from 2026-01-10').waitFor()

  // The run of the timeline.
  await page.goto(`${served.url}/timeline?jobId=daily`)
  await page.getByRole('application').focus()
  await page.keyboard.press('ArrowDown')
  await inAddress('run=')
  await send()
  const said = page.getByRole('status').filter({ hasText: /^Run \d+ of daily/ })
  await colleague.getByText((await said.innerText()).split(':')[0] ?? '').waitFor()

  // The form of a backfill with its dry run.
  await page.goto(`${served.url}/backfills`)
  await page.getByLabel('Job', { exact: true }).fill('daily')
  await page.getByLabel('From (a day in its zone)').fill('2026-01-02')
  await page.getByLabel('Before').fill('2026-01-05')
  await page.getByLabel('Windows').selectOption('all')
  await page.getByRole('button', { name: 'Dry run…' }).click()
  await page.getByRole('dialog').getByText('Runs 3 windows').waitFor()
  await send()
  await colleague.getByRole('dialog').getByText('Runs 3 windows').waitFor()
  await colleague.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
  await expect.poll(() => colleague.url()).not.toContain('dry=')
  expect(await colleague.getByLabel('Before').inputValue()).toBe('2026-01-05')
})
