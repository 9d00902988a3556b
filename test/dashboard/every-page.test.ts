import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startBrowser } from '../support/chromium.ts'
import { daysEnded, serveApp, type Served } from './served-app.ts'
import { expectAccessible, watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp()
  browser = await startBrowser()
  await daysEnded(served)
  await served.app.backfills.create('daily', { from: '2026-01-01', to: '2026-01-03', only: 'all' })
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

it('every page suits a phone and a screen reader, in light and dark, without an error', async () => {
  const [failed] = await served.app.runs.list({ jobId: 'daily', state: 'failed', limit: 1 })
  const page = await watchedPage(browser, { viewport: { width: 390, height: 800 } })
  const paths = [
    ...['/', '/grid?to=2026-01-12T00:00:00.000Z', '/timeline', '/runs', '/backfills', '/backfills/1', '/nodes'],
    ...['/audit', '/tokens', '/why', '/why/daily?at=2026-01-05', `/runs/${failed?.id}`],
    ...['/jobs/daily?year=2026&day=2026-01-05', '/jobs/hostile', '/nowhere'],
  ]
  const wide: string[] = []
  for (const path of paths) {
    await page.goto(`${served.url}${path}`)
    await page.locator('h1, .empty-title').first().waitFor()
    await expect.poll(() => page.locator('.loading').count()).toBe(0)
    if (Number(await page.evaluate('document.documentElement.scrollWidth')) > 390) wide.push(path)
    await expectAccessible(page)
    expect(await page.getByRole('alert').count(), path).toBe(0)
  }
  expect(wide, 'pages that scroll sideways').toEqual([])
})
