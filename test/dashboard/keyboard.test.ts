import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { startBrowser } from '../support/chromium.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { daysEnded, fixBrokenDay, serveApp, type Served } from './served-app.ts'
import { watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser
let page: Page

beforeAll(async () => {
  served = await serveApp()
  browser = await startBrowser()
  await daysEnded(served)
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

const press = (...keys: readonly string[]) =>
  keys.reduce((before, key) => before.then(() => page.keyboard.press(key)), Promise.resolve())

/** Opens the palette, types, and chooses the entry of this name. */
async function choose(text: string, name: string | RegExp): Promise<void> {
  await press('Control+k')
  await page.getByRole('combobox', { name: 'A page' }).waitFor()
  await page.keyboard.type(text)
  const option = page.getByRole('option', { name }).first()
  await option.waitFor()
  for (let tries = 0; tries < 30 && (await option.getAttribute('aria-selected')) !== 'true'; tries += 1)
    await press('ArrowDown')
  await press('Enter')
}

/** Gives a reason to the open dialog and confirms it. */
async function confirmByKeys(reason: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.locator('.preview').waitFor()
  await tabTo(/Reason/)
  await page.keyboard.type(reason)
  await press('Enter')
  await dialog.waitFor({ state: 'detached' })
}

/** Presses Tab until an element whose name fits has the focus. */
async function tabTo(name: RegExp): Promise<void> {
  const focused = (): Promise<string> =>
    page.evaluate(
      "(() => { const at = document.activeElement; if (!at.matches('a, button, input, select, textarea')) return ''; return [at.labels?.[0]?.innerText, at.ariaLabel, at.innerText, at.title].join(' ') })()",
    )
  for (let tries = 0; tries < 120; tries += 1) {
    if (name.test(await focused())) return
    await press('Tab')
  }
  throw new Error(`Tab does not reach ${name}; the last one is ${await focused()}`)
}

it('an operator does ten tasks by keyboard alone', async () => {
  page = await watchedPage(browser)
  await page.goto(served.url)
  const heading = (name: string | RegExp) => page.getByRole('heading', { level: 1, name }).waitFor()
  await page.getByRole('row', { name: /daily/ }).waitFor()

  // 1. Which runs have failed?
  await choose('failed daily', /^Failed runs of daily/)
  await page.getByRole('region', { name: 'Runs' }).getByText('the station has no data').first().waitFor()

  // 2. Why did a day not run?
  await choose('why daily 2026-01-05', 'Why daily on 2026-01-05')
  await page.getByRole('list', { name: 'Decisions' }).getByText('the station has no data').waitFor()

  // 3. Run it again from there.
  fixBrokenDay()
  await tabTo(/Replay run/)
  await press('Enter')
  await confirmByKeys('the station has data now')
  await page
    .getByRole('list', { name: 'Decisions' })
    .getByText(/succeeded at/)
    .waitFor()

  // 4. Pause a job, and 5. resume it.
  await choose('pause hourly', 'Pause hourly')
  await confirmByKeys('a holiday')
  await vi.waitFor(async () => expect((await served.app.jobs.show('hourly')).isPaused).toBe(true), PATIENCE_MS)
  await choose('resume hourly', 'Resume hourly')
  await confirmByKeys('back')
  await vi.waitFor(async () => expect((await served.app.jobs.show('hourly')).isPaused).toBe(false), PATIENCE_MS)

  // 6. Start a run, and 7. cancel it by its number.
  await choose('run endless now', 'Run endless now')
  await confirmByKeys('a test')
  await heading('running')
  const run = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  await choose(run, `Cancel run ${run}`)
  await confirmByKeys('enough')
  await heading('cancelled')

  // 8. Select days in the grid and backfill them.
  await page.goto(`${served.url}/grid?to=2026-01-12T00:00:00.000Z`)
  await page.getByRole('application').focus()
  await press('Home', 'End', 'ArrowLeft', 'ArrowLeft', 'Shift+ArrowLeft')
  await page.getByRole('heading', { name: 'Selected: daily' }).waitFor()
  await tabTo(/Run all again/)
  await press('Enter')
  await confirmByKeys('a new column')
  await heading(/Backfill 1/)

  // 9. Drain the node, and let it go on.
  await choose('drain', /^Drain node/)
  await confirmByKeys('a new kernel')
  await choose('resume node', /^Resume node/)
  await confirmByKeys('the kernel is new')

  // 10. Who changed what?
  await choose('audit', 'Audit of changes')
  await page.getByRole('region', { name: 'Changes' }).last().getByText('a new kernel').waitFor()
})
