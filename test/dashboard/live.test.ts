import { createServer, request as httpRequest, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startBrowser } from '../support/chromium.ts'
import { type Served, serveApp } from './served-app.ts'
import { watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp([
    defineJob({ id: 'quick' }, () => 1),
    defineJob({ id: 'hourly', cron: '0 * * * *' }, () => 1),
  ])
  browser = await startBrowser()
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

/** A browser reports each request that the server did not answer. */
const GONE = /ERR_(FAILED|CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)|status of 503/

async function opened(path: string, { url = served.url, polls = true } = {}): Promise<Page> {
  const page = await watchedPage(browser, { expected: GONE })
  // The delays of a page that follows events are much shorter than those between two of its polls.
  if (!polls)
    await page.addInitScript(() => {
      const { setTimeout } = globalThis
      Object.assign(globalThis, {
        setTimeout: (task: () => void, ms?: number) => ((ms ?? 0) < 2_000 ? setTimeout(task, ms) : undefined),
      })
    })
  await page.goto(`${url}${path}`)
  return page
}

it('two browsers see the changes of each other by events, without polling', async () => {
  const pages = [
    await opened('/jobs/hourly', { polls: false }),
    await opened('/jobs/hourly', { polls: false }),
  ] as const
  for (const page of pages) await page.getByRole('button', { name: 'live by events' }).waitFor()
  // Each of them pauses and resumes the job in turn.
  for (const [by, verb, becomes] of [
    [0, 'Pause…', 'Resume…'],
    [1, 'Resume…', 'Pause…'],
    [1, 'Pause…', 'Resume…'],
    [0, 'Resume…', 'Pause…'],
  ] as const) {
    const [one, other] = by === 0 ? pages : [pages[1], pages[0]]
    await one.getByRole('button', { name: verb }).click()
    const dialog = one.getByRole('dialog')
    await dialog.getByRole('button').first().click()
    await dialog.waitFor({ state: 'detached' })
    await other.getByRole('button', { name: becomes }).waitFor()
  }
})

it('a page continues after a restart of the server, and misses no run', async () => {
  const page = await opened('/runs?jobId=quick')
  await page.getByRole('button', { name: 'live by events' }).waitFor()
  const rows = page.getByRole('row').filter({ hasText: 'succeeded' })
  await served.app.run('quick', { wait: true })
  await expect.poll(() => rows.count()).toBe(1)
  await served.restart()
  // Runs end while the page has no connection.
  await served.app.run('quick', { wait: true })
  await expect.poll(() => rows.count()).toBe(2)
  await page.getByRole('button', { name: 'live by events' }).waitFor()
  await served.app.run('quick', { wait: true })
  await expect.poll(() => rows.count()).toBe(3)
})

it('an action whose server restarts says so, and a retry does it once, also if only the answer was lost', async () => {
  const page = await opened('/jobs/quick')
  await page.getByRole('button', { name: 'Run…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText(/Stores one run of quick/).waitFor()
  await dialog.getByLabel('Reason').fill('a retry')
  const press = (): Promise<void> => dialog.getByRole('button').first().click()
  const runs = async () => (await served.app.runs.list({ jobId: 'quick' })).length
  const before = await runs()

  await served.app.stop()
  await press()
  await dialog.getByRole('alert').getByText('No answer from the server').waitFor()
  await served.restart()
  // The server does it, but the answer does not arrive.
  const isLost = Promise.withResolvers<void>()
  await page.route('**/runs', async (route) => {
    await route.fetch()
    await route.abort()
    isLost.resolve()
  })
  await press()
  // Without this wait, the browser would send the request again when it is no longer held.
  await isLost.promise
  expect(await runs()).toBe(before + 1)
  await page.unroute('**/runs')
  await dialog.getByRole('button', { name: 'Run quick' }).waitFor()
  await press()
  await page.getByRole('heading', { level: 1, name: 'succeeded' }).waitFor()
  expect(await runs()).toBe(before + 1)
})

it('a page behind a proxy that holds streams back polls, and says so', async () => {
  const proxy = await holdingProxy(served.url)
  const page = await opened('/', { url: proxy })
  await page.getByRole('button', { name: 'live by polling' }).waitFor()
  await served.app.jobs.pause('hourly')
  await page
    .getByRole('row', { name: /hourly/ })
    .getByText('paused')
    .waitFor()
  await page.getByRole('button', { name: 'live by polling' }).waitFor()
  await served.app.jobs.resume('hourly')
})

/** A proxy that passes an answer on once it is complete, as some do. A stream of events never is. */
async function holdingProxy(target: string): Promise<string> {
  const server: Server = createServer((request, response) => {
    const { hostname, port } = new URL(target)
    const onward = httpRequest(
      { hostname, port, path: request.url, method: request.method, headers: request.headers },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('end', () => {
          response.writeHead(answer.statusCode ?? 502, answer.headers)
          response.end(Buffer.concat(chunks))
        })
      },
    )
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    request.pipe(onward)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
