import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { BROKEN_DAY, daysEnded, fixBrokenDay, HOSTILE, serveApp, type Served } from './served-app.ts'
import { startBrowser } from '../support/chromium.ts'
import { confirm, expectAccessible, watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp()
  browser = await startBrowser()
  await daysEnded(served)
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

async function opened(path: string): Promise<Page> {
  const page = await watchedPage(browser)
  await page.goto(`${served.url}${path}`)
  return page
}

it('the overview shows each job with its last runs, its next tick and its failures', async () => {
  const page = await opened('/')
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

it('the grid is moved and selected by keyboard, and its dry run names the windows', async () => {
  const page = await opened('/grid?to=2026-02-01T00:00:00.000Z')
  const grid = page.getByRole('application')
  await grid.focus()
  await page.keyboard.press('Home')
  const last = page.getByRole('status').filter({ hasText: 'daily' })
  await last.waitFor()
  await page.keyboard.press('End')
  for (let day = 31; day > 4; day -= 1) await page.keyboard.press('ArrowLeft')
  const cell = page.locator('#grid-cell')
  await cell.getByText(/failed, 2 attempts, took .* run \d+ the station has no data/).waitFor()
  expect(await cell.innerText()).toMatch(
    /^daily · day from 2026-01-04 00:00 UTC \(2026-01-04 01:00 Europe\/Berlin\) · 1 failed/,
  )
  await page.keyboard.press('Shift+ArrowRight')
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Run all again…' }).click()
  await page
    .getByRole('dialog')
    .getByText(/Runs 1 windows/)
    .waitFor()
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
})

it('the page of a job tells its schedule in words, its ticks, why, its calendar and its windows', async () => {
  const page = await opened('/jobs/daily?why=2026-01-05')
  await page.getByText('At 00:00').waitFor()
  await page
    .getByRole('region', { name: 'The next' })
    .getByText('+01:00')
    .or(page.getByText('No further tick'))
    .first()
    .waitFor()
  await page
    .getByText(/the station has no data/)
    .first()
    .waitFor()
  await page.getByRole('button', { name: '2026-01-04: 1 failed' }).click()
  await page.getByRole('region', { name: 'Windows' }).getByText('failed').waitFor()
  await expectAccessible(page)
  await page.getByLabel('Times in').selectOption('job')
  await page.getByRole('region', { name: 'Windows' }).getByText('2026-01-05 00:00:00').first().waitFor()
})

it('a config is saved after its difference was shown, and rolled back', async () => {
  const page = await opened('/jobs/hourly')
  for (const shop of ['us', 'jp']) {
    await page.getByRole('button', { name: 'New version' }).click()
    await page.getByLabel('Config as JSON').fill(JSON.stringify({ shop }))
    await page.getByRole('button', { name: 'Save…' }).click()
    await confirm(page, `"${shop}"`, 'moved')
    await page.getByText(`Version ${shop === 'us' ? 1 : 2} is in force`).waitFor()
  }
  await page.getByRole('button', { name: 'Roll back…' }).click()
  await confirm(page, '"us"', 'wrong shop')
  await page.getByText('Version 3 is in force').waitFor()
  expect(await served.app.configs.show('hourly')).toMatchObject({ config: { shop: 'us' } })
})

it('a failed run is found by its error, and replayed with its window', async () => {
  fixBrokenDay()
  const page = await opened('/runs?state=failed&jobId=daily')
  await page.getByLabel('Error contains').fill('no data')
  await page.getByLabel('Error contains').press('Enter')
  await expect.poll(() => page.url()).toContain('error=no+data')
  await expectAccessible(page)
  await page.getByRole('region', { name: 'Runs' }).getByRole('link').first().click()
  await page.getByRole('region', { name: 'Error', exact: true }).getByText('the station has no data').waitFor()
  await page.getByRole('listitem').getByText('attempt 2').first().waitFor()
  await page.getByRole('log').getByText('reading').first().waitFor()
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Replay…' }).click()
  // The page has such a button too, and the last one of both is that of the page until the dialog is there.
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Copy as CLI' }).click()
  expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^piko runs replay \d+$/)
  await dialog.getByRole('button', { name: 'Copy as curl' }).click()
  expect(await page.evaluate('navigator.clipboard.readText()')).toMatch(/^curl -X POST .*\/api\/v1\/runs\/\d+\/replay$/)
  await confirm(page, /Its window that begins at/, 'the station has data now')
  await page.getByRole('heading', { level: 1, name: 'succeeded' }).waitFor()
  const [window] = await served.app.windows.list('daily', { from: BROKEN_DAY, limit: 1 })
  expect(window?.state).toBe('succeeded')
})

it('a run that does not end is started, and cancelled, by keyboard alone', async () => {
  const page = await opened('/')
  await page.getByRole('row', { name: /endless/ }).waitFor()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('endless')
  await page.getByRole('option', { name: 'Job endless' }).waitFor()
  await page.keyboard.press('Enter')
  await page.getByLabel('Input as JSON').focus()
  await page.keyboard.type('{"a":1}')
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await confirm(page, /Stores one run of endless/, 'a test')
  await page.getByRole('heading', { level: 1, name: 'running' }).waitFor()
  await page.getByRole('region', { name: 'Input' }).getByText('"a": 1').waitFor()
  await page.getByRole('button', { name: 'Cancel…' }).focus()
  await page.keyboard.press('Enter')
  await confirm(page, /aborts the handler/, 'enough')
  await page.getByRole('heading', { level: 1, name: 'cancelled' }).waitFor()
})

it('a text that looks like markup is shown as text everywhere', async () => {
  const run = await served.app.run('hostile', { input: { text: HOSTILE }, wait: true }).catch(() => undefined)
  expect(run).toBeUndefined()
  const [failed] = await served.app.runs.list({ jobId: 'hostile', limit: 1 })
  const page = await opened(`/runs/${failed?.id}`)
  await page.getByRole('log').getByText('<img src=x').waitFor()
  await page.getByRole('region', { name: 'Error', exact: true }).getByText('<script>').waitFor()
  await page.getByRole('region', { name: 'Input' }).getByText('<img').waitFor()
  await page.goto(`${served.url}/runs?jobId=hostile&error=${encodeURIComponent('<img')}`)
  await page.getByRole('cell', { name: '<img src=x' }).waitFor()
  await page.goto(`${served.url}/?search=${encodeURIComponent(HOSTILE)}`)
  await page.getByText('No job id contains "<img').waitFor()
})

it('a backfill is made from its dry run, and followed to its end', async () => {
  const page = await opened('/backfills')
  await page.getByLabel('Job', { exact: true }).fill('daily')
  await page.getByLabel('From (a day in its zone)').fill('2026-01-01')
  await page.getByLabel('Before').fill('2026-01-04')
  await page.getByLabel('Windows').selectOption('all')
  await page.getByRole('button', { name: 'Dry run…' }).click()
  await confirm(page, /Runs 3 windows/, 'a new column')
  await page
    .getByRole('heading', { level: 1, name: 'succeeded' })
    .or(page.getByRole('heading', { level: 1, name: 'done' }))
    .waitFor()
  await expectAccessible(page)
  await page.getByRole('link', { name: 'Backfills' }).click()
  await page.getByRole('region', { name: 'Backfills with their progress' }).getByText('3 of 3').waitFor()
  await expectAccessible(page)
})

it('the nodes are shown with their leader and services, and a drained one begins no runs', async () => {
  const page = await opened('/nodes')
  const node = page.getByRole('region', { name: 'Nodes with their leases' }).getByRole('row').nth(1)
  await node.getByText('leader').waitFor()
  await page.getByRole('listitem').getByText('planner').first().waitFor()
  await expectAccessible(page)
  await node.getByRole('button', { name: 'Drain…' }).click()
  await confirm(page, /begins no further runs/, 'a new kernel')
  await node.getByText('draining').waitFor()
  await node.getByRole('button', { name: 'Resume…' }).click()
  await confirm(page, /begins runs again/, 'done')
  await node.getByText('live').waitFor()
})

it('a phone shows the page without scrolling sideways', async () => {
  const page = await watchedPage(browser, { viewport: { width: 390, height: 800 } })
  await page.goto(served.url)
  await page.getByRole('row', { name: /daily/ }).waitFor()
  expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(390)
})
