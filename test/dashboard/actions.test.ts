import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../../src/job/define-job.ts'
import { untilAborted } from '../../src/signals/until-aborted.ts'
import { defineSink } from '../../src/sink/define-sink.ts'
import { startBrowser } from '../support/chromium.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type Served, serveApp } from './served-app.ts'
import { confirm, watchedPage } from './watched-page.ts'

const Row = z.object({ id: z.int() }).meta({ id: 'Row' })
const got: string[] = []
let isFixed = false

function refusing(name: string) {
  return defineSink({
    name,
    guarantee: 'idempotent',
    deadLetters: true,
    on: [
      [
        Row,
        (rows) => {
          if (!isFixed) throw new Error('the customer is unknown')
          got.push(...rows.map(({ id }) => `${name} ${id}`))
        },
      ],
    ],
  })
}

const forever = (signal: AbortSignal) => untilAborted(new Promise<never>(() => {}), signal)
const windows = { start: '2026-01-01', end: '2026-01-05', catchUp: 'all' } as const

const JOBS = [
  defineJob({ id: 'days', cron: '0 0 * * *', windows, config: z.object({ shop: z.string().default('eu') }) }, () => 1),
  defineJob({ id: 'endless_days', cron: '0 0 * * *', windows: { ...windows, catchUp: 'none' } }, (ctx) =>
    forever(ctx.signal),
  ),
  defineJob({ id: 'endless', concurrency: 1 }, (ctx) => forever(ctx.signal)),
  defineJob({ id: 'failing' }, () => {
    if (!isFixed) throw new Error('no such shop')
  }),
  defineJob({ id: 'quick' }, () => 1),
  defineJob({ id: 'takes' }, async (ctx) => ctx.limit('mail', '1/h').take()),
  defineJob({ id: 'write', sinks: { rows: refusing('rows'), lines: refusing('lines') } }, async (ctx) => {
    await ctx.sinks.rows.write(Row, { id: 1 })
    await ctx.sinks.lines.write(Row, { id: 2 })
  }),
]

let served: Served
let browser: Browser
let page: Page
let token: string

beforeAll(async () => {
  served = await serveApp(JOBS, { http: { require_token: true } })
  const { app } = served
  ;({ token } = await app.tokens.create({ name: 'anna', role: 'admin' }))
  browser = await startBrowser()
  await Promise.all([
    app.run('takes', { wait: true }),
    app.run('write', { wait: true }),
    ...[1, 2, 3].map(() => app.run('failing', { wait: true }).catch(() => {})),
  ])
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

const until = (isTrue: () => Promise<void>) => vi.waitFor(isTrue, { timeout: PATIENCE_MS })

async function logIn(path: string): Promise<void> {
  page = await watchedPage(browser, { expected: /status of 401/ })
  await page.goto(`${served.url}${path}`)
  await page.getByLabel('Token').fill(token)
  await page.keyboard.press('Enter')
  await page.getByText('anna (admin)').waitFor()
}

async function press(name: string, preview: string | RegExp): Promise<void> {
  await page.getByRole('button', { name, exact: true }).click()
  await confirm(page, preview, `pressed ${name}`)
}

/** Types into the palette, and chooses the entry of this name. */
async function choose(text: string, name: string): Promise<void> {
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'A page' }).fill(text)
  await page.getByRole('option', { name, exact: true }).click()
}

it('an admin logs in with a token, and each action that is pressed changes the store', async () => {
  const { app } = served
  await logIn('/tokens')
  await page.getByRole('row', { name: /anna/ }).waitFor()

  // Bulk actions of the runs.
  await page.goto(`${served.url}/runs?jobId=failing&state=failed`)
  await page.getByRole('region', { name: 'Runs' }).getByText('no such shop').first().waitFor()
  isFixed = true
  await press('Replay all…', /Queues 3 runs again/)
  await until(async () => expect(await app.runs.list({ jobId: 'failing', state: 'succeeded' })).toHaveLength(3))
  await Promise.all([1, 2, 3].map(() => app.enqueue('endless')))
  await until(async () => expect(await app.runs.list({ jobId: 'endless', state: 'running' })).toHaveLength(1))
  await page.goto(`${served.url}/runs?jobId=endless&state=queued`)
  await press('Cancel all…', /Ends 2 queued runs, and asks nodes to end 0/)
  await until(async () => expect(await app.runs.list({ jobId: 'endless', state: 'cancelled' })).toHaveLength(2))

  // A backfill.
  const { id } = await app.backfills.create('endless_days', { from: '2026-01-01', to: '2026-01-04', parallel: 1 })
  const state = async () => (await app.backfills.show(id)).state
  await page.goto(`${served.url}/backfills/${id}`)
  await press('pause…', /starts no further runs/)
  await until(async () => expect(await state()).toBe('paused'))
  await press('resume…', /continues where it stopped/)
  await until(async () => expect(await state()).toBe('running'))
  await press('cancel…', /runs are cancelled/)
  await until(async () => expect(await state()).toBe('cancelled'))

  // What the fleet holds.
  await page.goto(`${served.url}/nodes`)
  await press('Reset…', /forgets the 1 calls/)
  await until(async () => expect(await app.limits.list()).toEqual([]))
  const row = (sink: string) => page.getByRole('row', { name: new RegExp(`^${sink} 1`) })
  await row('rows').getByRole('button', { name: 'Deliver again…' }).click()
  await confirm(page, /Rows that the target accepts/, 'the customer exists now')
  await until(async () => expect(await app.sinks.dead({ sink: 'rows' })).toEqual([]))
  expect(got).toEqual(['rows 1'])
  await row('lines').getByRole('button', { name: 'Delete…' }).click()
  await confirm(page, /The rows are lost/, 'a test')
  await until(async () => expect(await app.sinks.dead({ sink: 'lines' })).toEqual([]))
  expect(got).toEqual(['rows 1'])
  const reasons = (await app.audit.list()).map(({ verb, reason, actor }) => [verb, reason, actor.name])
  expect(reasons).toContainEqual(['limits.reset', 'pressed Reset…', 'anna'])
  expect(reasons).toContainEqual(['runs.replay', 'pressed Replay all…', 'anna'])
})

it('the palette does what needs a job, a day or a number', async () => {
  const { app } = served
  await logIn('/')
  await app.configs.set('days', { shop: 'us' })
  await app.configs.set('days', { shop: 'jp' })
  await choose('roll back config days', 'Roll back the config of days')
  await page.getByRole('button', { name: 'Roll back…' }).and(page.locator(':focus')).waitFor()
  await page.keyboard.press('Enter')
  await confirm(page, '"us"', 'wrong shop')
  await until(async () => expect(await app.configs.show('days')).toMatchObject({ config: { shop: 'us' } }))

  await choose('override schedule days', 'Override the schedule of days')
  await page.getByLabel('It runs').and(page.locator(':focus')).waitFor()
  expect(page.url()).toContain('edit=schedule')

  await choose('stale days 2026-01-02', 'Mark windows of days on 2026-01-02 stale')
  await confirm(page, /become stale/, 'new prices')
  await until(async () => expect((await app.windows.summary('days')).counts.stale).toBe(1))

  const [running] = await app.runs.list({ jobId: 'endless', state: 'running' })
  await choose(`cancel run ${running?.id}`, `Cancel run ${running?.id}`)
  await confirm(page, /aborts its handler/, 'enough')
  await until(async () => expect((await app.runs.show(running?.id ?? 0)).state).toBe('cancelled'))
})
