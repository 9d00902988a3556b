import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { untilAborted } from '../../src/signals/until-aborted.ts'
import { startBrowser } from '../support/chromium.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type Served, serveApp } from './served-app.ts'
import { confirm, expectAccessible, watchedPage } from './watched-page.ts'

const windows = { start: '2026-01-01', end: '2026-01-11', catchUp: 'all' } as const
const lines: (() => void)[] = []

const JOBS = [
  defineJob({ id: 'source', cron: '0 0 * * *', windows }, () => sleep(5)),
  defineJob({ id: 'report', cron: '0 0 * * *', windows, dependsOn: ['source'], concurrency: 3 }, () => sleep(5)),
  defineJob({ id: 'berlin', cron: '30 2 * * *', timezone: 'Europe/Berlin' }, () => 1),
  defineJob(
    { id: 'steps', config: z.object({ shop: z.string().default('eu') }), input: z.object({ day: z.number() }) },
    async (ctx) => {
      await ctx.step('load', () => sleep(30))
      await ctx.step('write', () => sleep(10))
      return { day: ctx.input.day }
    },
  ),
  defineJob({ id: 'talker' }, async (ctx) => {
    ctx.log.info('first line')
    const next = new Promise<void>((resolve) => lines.push(resolve))
    await untilAborted(next, ctx.signal)
    ctx.log.warn('second line')
    await untilAborted(new Promise<never>(() => {}), ctx.signal)
  }),
]

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp(JOBS)
  browser = await startBrowser()
  await vi.waitFor(async () => expect((await served.app.windows.summary('report')).counts.succeeded).toBe(10), {
    timeout: PATIENCE_MS,
  })
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

async function opened(path: string, expected?: RegExp): Promise<Page> {
  const page = await watchedPage(browser, expected ? { expected } : {})
  await page.goto(`${served.url}${path}`)
  return page
}

it('the timeline reads, moves and zooms by keyboard, and opens a run', async () => {
  const page = await opened('/timeline?jobId=report')
  const timeline = page.getByRole('application')
  await timeline.focus()
  await page.keyboard.press('ArrowDown')
  const sentence = /Run \d+ of report: succeeded · (requested|tick) .* · claimed .* · took .* · on node/
  await page.getByRole('status').filter({ hasText: sentence }).waitFor()
  await expectAccessible(page)
  await page.keyboard.press('-')
  await expect.poll(() => page.url()).toContain('span=21600000')
  await page.keyboard.press('+')
  await page.keyboard.press('+')
  await expect.poll(() => page.url()).toContain('span=900000')
  await page.keyboard.press('ArrowLeft')
  await expect.poll(() => page.url()).toContain('to=20')
  await page.getByRole('button', { name: 'Now' }).click()
  await expect.poll(() => page.url()).not.toContain('to=20')
  await page.getByLabel('A row is a').selectOption('node')
  await timeline.focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: /Run \d+/ }).waitFor()
})

it('a schedule is changed after its ticks were shown, with the clock changes, and goes back to the code', async () => {
  const page = await opened('/jobs/berlin', /status of 422/)
  await page.getByText('At 02:30').waitFor()
  await page.getByRole('button', { name: 'Change…' }).click()
  const editor = page.getByRole('form', { name: 'Schedule editor' })
  await editor.getByLabel('Cron expression').fill('61 * * * *')
  await editor.getByRole('alert').getByText('61').waitFor()
  await editor.getByLabel('Cron expression').fill('30 2 29 3 *')
  await editor.getByText('this local time does not exist that day').first().waitFor()
  await expectAccessible(page)
  await editor.getByRole('button', { name: 'Save…' }).click()
  await confirm(page, 'survives deploys', 'once a year')
  await page.getByText('It overrides the schedule in the code').waitFor()
  expect((await served.app.schedules.list()).find(({ jobId }) => jobId === 'berlin')).toMatchObject({
    isOverridden: true,
    schedule: { kind: 'cron', cron: '30 2 29 3 *', timezone: 'Europe/Berlin' },
  })
  await page.getByRole('button', { name: 'Back to the code…' }).click()
  await confirm(page, 'that the code declares', 'back')
  await page.getByText('It overrides the schedule in the code').waitFor({ state: 'detached' })
})

it('the page of a job shows its dependencies, limits, and how long its runs take', async () => {
  const page = await opened('/jobs/report')
  const graph = page.getByRole('region', { name: 'Graph of dependencies' })
  await graph.getByRole('link', { name: /^source: succeeded/ }).waitFor()
  await page.getByRole('region', { name: 'Limits' }).getByText('At the same time', { exact: true }).waitFor()
  await page.getByRole('region', { name: 'Durations' }).getByText('10 succeeded runs: half within').waitFor()
  await page.getByRole('img', { name: 'Histogram of durations' }).waitFor()
  await expectAccessible(page)
  await graph.getByRole('link', { name: /^source/ }).click()
  await page.getByRole('heading', { level: 1, name: /source/ }).waitFor()
})

it('a run shows its steps, the runs before it, and runs again with another input', async () => {
  const run = await served.app.run('steps', { input: { day: 7 }, wait: true })
  const page = await opened(`/runs/${run.id}`)
  await page.getByRole('listitem').getByText('step load').waitFor()
  await page.getByRole('region', { name: 'Output' }).getByText('"day": 7').first().waitFor()
  await page.getByRole('button', { name: 'Run again with other input' }).click()
  await page.getByLabel('Input as JSON').fill('{"day": 8}')
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Run…' }).click()
  await confirm(page, 'Stores a new run of steps', 'another day')
  await page.getByRole('region', { name: 'Output' }).getByText('"day": 8').first().waitFor()
  const [window] = await served.app.windows.list('report', { limit: 1 })
  await page.goto(`${served.url}/runs/${window?.runId}`)
  await page.getByRole('region', { name: 'Upstream windows' }).getByRole('link', { name: 'source' }).waitFor()
  await expectAccessible(page)
})

it('log lines follow while a run continues', async () => {
  const run = await served.app.run('talker')
  const page = await opened(`/runs/${run.id}`)
  await page.getByRole('log').getByText('first line').waitFor()
  for (const go of lines) go()
  await page.getByRole('log').getByText('second line').waitFor()
  await page.getByLabel('Level').selectOption('warn')
  await page.getByRole('log').getByText('first line').waitFor({ state: 'detached' })
  await page.getByRole('button', { name: 'Cancel…' }).click()
  await confirm(page, 'aborts the handler', 'enough')
  await page.getByRole('heading', { level: 1, name: 'cancelled' }).waitFor()
})

it('the dry run of a backfill paints its windows on their days, and the backfill shows their states', async () => {
  const page = await opened('/backfills?jobId=source')
  await page.getByLabel('From (a day in its zone)').fill('2026-01-03')
  await page.getByLabel('Before').fill('2026-01-06')
  await page.getByLabel('Windows').selectOption('all')
  await page.getByRole('button', { name: 'Dry run…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('img', { name: 'would run: 3 on 3 days' }).waitFor()
  const days = dialog.locator('.painted-run')
  expect(await days.count()).toBe(3)
  expect(await days.first().getAttribute('data-day')).toBe('2026-01-03')
  expect(await days.last().getAttribute('data-day')).toBe('2026-01-05')
  await expectAccessible(page)
  await confirm(page, 'Runs 3 windows', 'again')
  await page.getByRole('img', { name: 'Days with the states' }).waitFor()
  await page.getByRole('heading', { level: 1, name: 'succeeded' }).waitFor()
  await expectAccessible(page)
})
