import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { upstreamFirst } from '../../src/dashboard/grid/order.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { startBrowser } from '../support/chromium.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type Served, serveApp } from './served-app.ts'
import { confirm, expectAccessible, watchedPage } from './watched-page.ts'

const windows = { start: '2026-01-01T00:00:00Z', end: '2026-01-03T00:00:00Z', catchUp: 'all', parallel: 4 } as const
const hourly = { cron: '0 * * * *', timezone: 'UTC', windows } as const

let served: Served
let browser: Browser

beforeAll(async () => {
  const orders = defineJob({ id: 'orders', ...hourly }, () => 1)
  served = await serveApp([orders, defineJob({ id: 'a_report', ...hourly, dependsOn: [orders] }, () => 1)])
  browser = await startBrowser()
  const ended = async () => {
    expect((await served.app.windows.summary('a_report')).counts.succeeded).toBe(48)
  }
  await vi.waitFor(ended, { timeout: PATIENCE_MS })
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

it('a job stands below those on which it depends, also if there is a circle', () => {
  const job = (id: string, ...dependsOn: string[]) => ({ id, dependsOn, zone: undefined })
  const order = (...jobs: ReturnType<typeof job>[]) => upstreamFirst(jobs).map(({ jobId, depth }) => [jobId, depth])
  expect(order(job('a', 'c'), job('b'), job('c', 'b'), job('d', 'elsewhere'))).toEqual([
    ['b', 0],
    ['c', 1],
    ['a', 2],
    ['d', 0],
  ])
  expect(order(job('a', 'b', 'c'), job('b'), job('c'))).toEqual([
    ['b', 0],
    ['c', 0],
    ['a', 1],
  ])
  expect(order(job('a', 'b'), job('b', 'a'))).toEqual([
    ['a', 0],
    ['b', 0],
  ])
})

it('the grid loads what comes into view, zooms, marks a range as stale, and keeps its place in the address', async () => {
  const page = await watchedPage(browser)
  await page.goto(`${served.url}/grid?to=2027-01-01T00:00:00.000Z&by=hour`)
  const grid = page.getByRole('application')
  await grid.focus()
  await page.keyboard.press('Home')
  const cell = page.locator('#grid-cell')
  // Upstream is above, although its id is later.
  await page.keyboard.press('PageUp')
  await cell.getByText('orders · hour from 2026-01-01 00:00').waitFor()
  await cell.getByText('1 succeeded').waitFor()
  await page.keyboard.press('ArrowDown')
  await cell.getByText('a_report · hour from 2026-01-01 00:00').waitFor()
  await cell.getByText(/succeeded, 1 attempt, took/).waitFor()
  await expect.poll(() => page.url()).toContain('at=2026-01-01')
  await page.getByRole('button', { name: 'Zoom out' }).click()
  await grid.focus()
  await page.keyboard.press('Home')
  await cell.getByText('24 succeeded').waitFor()
  await page.keyboard.press('Shift+ArrowRight')
  await page.getByRole('heading', { name: 'Selected: a_report' }).waitFor()
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Mark stale…' }).click()
  await confirm(page, 'become stale', 'wrong prices')
  await cell.getByText('24 stale').waitFor()
  expect((await served.app.windows.summary('a_report')).counts).toMatchObject({ stale: 48 })
  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByRole('list', { name: 'Decisions' }).getByText('is stale').first().waitFor()
})
