import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { buildStaleDashboard } from '../../scripts/dashboard.ts'
import { type Served, serveApp } from './served-app.ts'
import { expectAccessible, PATIENCE_MS, startBrowser, watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  await buildStaleDashboard()
  served = await serveApp()
  browser = await startBrowser()
  const { app } = served
  await vi.waitFor(
    async () => {
      expect((await app.windows.summary('daily')).counts).toMatchObject({ succeeded: 9, failed: 1 })
    },
    { timeout: PATIENCE_MS },
  )
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

it('the overview shows each job with its last runs, its next tick and its failures', async () => {
  const page = await watchedPage(browser)
  await page.goto(served.url)
  const daily = page.getByRole('row', { name: /daily/ })
  await daily.getByRole('img', { name: 'last 10 runs, 1 failed' }).waitFor()
  expect(await daily.innerText()).toContain('One day of data')
  await page
    .getByRole('row', { name: /hourly/ })
    .getByText(/in \d+ (min|h|s)/)
    .waitFor()
  await page.getByRole('button', { name: 'live by' }).waitFor()
  await expectAccessible(page)
  await page.getByLabel('Find a job').fill('hour')
  await expect.poll(() => page.getByRole('row', { name: /daily/ }).count()).toBe(0)
  expect(page.url()).toContain('search=hour')
})
