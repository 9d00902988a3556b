import { DatabaseSync } from 'node:sqlite'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { eventually } from '../support/app.ts'
import { startBrowser } from '../support/chromium.ts'
import { HOSTILE, type Served, serveApp } from './served-app.ts'
import { watchedPage } from './watched-page.ts'

const MEGABYTE = 1_000_000
/** The store finds ids of visible ASCII only. */
const HOSTILE_ID = HOSTILE.replaceAll(' ', '/').replaceAll(/[^!-~]/g, '')
/** The longest id that a job may have, without a place to break it. */
const LONGEST_ID = 'w'.repeat(128)
const LONG = `${HOSTILE}${'x'.repeat(MEGABYTE)}`

let served: Served
let browser: Browser
let runId = 0

const windows = { start: '2026-01-01', end: '2026-01-04', catchUp: 'all' } as const
const JOBS = [
  defineJob({ id: LONGEST_ID }, () => {
    throw new Error('w'.repeat(300))
  }),
  defineJob({ id: 'plain', cron: '0 0 * * *', description: HOSTILE, windows, dependsOn: [] }, () => {
    throw new Error(HOSTILE)
  }),
  defineJob({ id: 'big' }, (ctx) => {
    ctx.log.info({ [HOSTILE]: HOSTILE, long: LONG }, LONG)
    ctx.log.error('after the long line')
    ctx.progress(1, 2, HOSTILE)
    throw Object.assign(new Error(LONG), { name: HOSTILE.slice(0, 40) })
  }),
]

beforeAll(async () => {
  served = await serveApp(JOBS)
  browser = await startBrowser()
  await served.app
    .run('big', { input: { [HOSTILE]: HOSTILE, text: 'x'.repeat(MEGABYTE / 2) }, wait: true })
    .catch(() => {})
  const [run] = await served.app.runs.list({ jobId: 'big', limit: 1 })
  runId = run?.id ?? 0
  await eventually(async () => expect((await served.app.windows.summary('plain')).counts.failed).toBe(3))
  // No code can declare such an id, but a row can have it.
  await served.app.jobs.pause('plain')
  const store = new DatabaseSync(served.app.storeLocation)
  for (const [table, column] of [
    ['piko_job', 'id'],
    ['piko_run', 'job_id'],
    ['piko_window', 'job_id'],
  ] as const)
    store.prepare(`UPDATE ${table} SET ${column} = ? WHERE ${column} = 'plain'`).run(HOSTILE_ID)
  store.close()
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

async function opened(path: string): Promise<Page> {
  const page = await watchedPage(browser, { expected: /status of 4\d\d/ })
  await page.goto(`${served.url}${path}`)
  return page
}

/** Fails unless the page answers to a key, and unless nothing of a text became an element. */
async function expectUsable(page: Page): Promise<void> {
  await page.keyboard.press('Control+k')
  await page.getByRole('dialog').getByRole('combobox').fill('Runs')
  await page.getByRole('dialog').getByRole('option', { name: 'Runs' }).first().waitFor()
  await page.keyboard.press('Escape')
  expect(await page.locator('img[src="x"]').count()).toBe(0)
  expect(await page.locator('body script').filter({ hasText: 'hurt' }).count()).toBe(0)
}

it('a run with lines, errors and inputs of a megabyte shows them as text, and can be used', async () => {
  const page = await opened(`/runs/${runId}`)
  const log = page.getByRole('log')
  await log.getByText('<img src=x').first().waitFor()
  await log.getByText('after the long line').waitFor()
  await page.getByRole('region', { name: 'Error', exact: true }).getByText('<script>').first().waitFor()
  await page.getByRole('region', { name: 'Input' }).getByText('<img').first().waitFor()
  // What was cut can be copied whole.
  await page
    .getByText(/Only the first 50000 of \d+ characters/)
    .first()
    .waitFor()
  expect((await page.locator('main').innerText()).length).toBeLessThan(MEGABYTE)
  await page.getByRole('searchbox', { name: 'Search' }).fill('after')
  await log.getByText('<img src=x').waitFor({ state: 'detached' })
  await expectUsable(page)
})

it('a job whose id looks like markup is text on every page that names it', async () => {
  const name = encodeURIComponent(HOSTILE_ID)
  const page = await opened('/')
  await page.getByRole('link', { name: '<img/src=x' }).first().waitFor()
  await expectUsable(page)
  await page.goto(`${served.url}/jobs/${name}?year=2026&day=2026-01-02`)
  await page.getByRole('region', { name: 'Last runs' }).getByRole('row').nth(3).waitFor()
  await page.getByRole('heading', { level: 1, name: '<img/src=x' }).waitFor()
  await expectUsable(page)
  await page.goto(`${served.url}/runs?jobId=${name}`)
  await page.getByRole('row', { name: 'failed' }).nth(2).waitFor()
  for (const path of [
    '/grid',
    `/runs?jobId=${name}`,
    `/timeline?jobId=${name}`,
    `/backfills?jobId=${name}`,
    '/nodes',
    '/audit',
    '/tokens',
    `/why/${name}`,
  ]) {
    await page.goto(`${served.url}${path}`)
    await page.getByRole('heading', { level: 1 }).waitFor()
    await expect.poll(() => page.locator('.loading').count()).toBe(0)
    await expectUsable(page)
  }
})

it('the longest id, and words of 300 letters, fit on a phone and on a desk', async () => {
  await served.app.run(LONGEST_ID, { input: { ['w'.repeat(300)]: 'w'.repeat(300) }, wait: true }).catch(() => {})
  const [run] = await served.app.runs.list({ jobId: LONGEST_ID, limit: 1 })
  const page = await opened('/')
  const wide: unknown[] = []
  for (const width of [390, 1_280]) {
    await page.setViewportSize({ width, height: 800 })
    for (const path of ['/', `/jobs/${LONGEST_ID}`, '/runs', `/runs/${run?.id}`, `/why/${LONGEST_ID}`]) {
      await page.goto(`${served.url}${path}`)
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.getByText(LONGEST_ID).first().waitFor()
      const needed = Number(await page.evaluate('document.documentElement.scrollWidth'))
      if (needed > width) wide.push({ path, width, needed })
    }
  }
  expect(wide).toEqual([])
})
