import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { defineJob } from '../../src/job/define-job.ts'
import { startBrowser } from '../support/chromium.ts'
import { type Served, serveApp } from './served-app.ts'
import { confirm, expectAccessible, watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser

beforeAll(async () => {
  served = await serveApp([
    defineJob({ id: 'hourly', cron: '0 * * * *' }, () => 1),
    defineJob({ id: 'failing' }, () => {
      throw new Error('no such shop')
    }),
  ])
  await served.app.run('failing', { wait: true }).catch(() => {})
  browser = await startBrowser()
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

it('"Why not?" shows each rule with its evidence, and the button that changes it', async () => {
  await served.app.jobs.pause('hourly')
  const page = await opened('/why')
  await page.getByText('Which job, and when?').waitFor()
  await page.getByRole('combobox', { name: 'Job', exact: true }).fill('hourly')
  await page.getByLabel('A day in its zone').fill('2026-03-01T05:00:00Z')
  await page.keyboard.press('Enter')
  const decisions = page.getByRole('list', { name: 'Decisions' }).getByRole('listitem')
  await decisions.nth(1).getByText('the job is paused').waitFor()
  expect(await decisions.count()).toBe(2)
  expect(page.url()).toContain('/why/hourly?at=2026-03-01T05%3A00%3A00Z')
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Resume hourly…' }).click()
  await confirm(page, /The schedule continues/, 'it is needed')
  await decisions.nth(1).getByText('the job is not paused').waitFor()
})

it('the audit has every change with its reason and its states, and is filtered', async () => {
  await served.app.jobs.pause('hourly')
  const page = await opened('/audit')
  const changes = page.getByRole('region', { name: 'Changes' }).last()
  await changes.getByText('jobs.pause').first().waitFor()
  await changes.getByText('show states').first().click()
  await changes.getByText('"isPaused": true').first().waitFor()
  await expectAccessible(page)
  await page.getByLabel('Change', { exact: true }).fill('jobs.resume')
  await page.keyboard.press('Enter')
  await expect.poll(() => changes.getByText('jobs.pause').count()).toBe(0)
  expect(page.url()).toContain('verb=jobs.resume')
  await page.getByLabel('By').fill('nobody')
  await page.keyboard.press('Enter')
  await page.getByText('No change matches').waitFor()
})

it('a field of a filter keeps what is typed while the page is drawn again', async () => {
  for (const [path, label] of [
    ['/audit', 'By'],
    ['/runs', 'Job'],
    ['/timeline', 'Job'],
  ] as const) {
    const page = await opened(path)
    const field = page.getByLabel(label, { exact: true })
    await field.pressSequentially('nob')
    // Changes the filter without leaving the field.
    await page.evaluate(`
      history.replaceState(null, '', location.pathname + '?state=failed&outcome=done&by=node')
      dispatchEvent(new PopStateEvent('popstate'))
      new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    `)
    await field.pressSequentially('ody')
    expect(await field.inputValue()).toBe('nobody')
    await page.keyboard.press('Enter')
    await expect.poll(() => page.url()).toContain('nobody')
  }
})

it('a token is made, shown once, used and revoked', async () => {
  const page = await opened('/tokens')
  await page.getByText('No token yet').waitFor()
  await page.getByLabel('Name').fill('grafana')
  await page.getByLabel('Only jobs like').fill('sync_*')
  await page.getByRole('button', { name: 'Create…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Copy as CLI' }).click()
  expect(await page.evaluate('navigator.clipboard.readText()')).toBe(
    "piko tokens create grafana --role viewer --for-jobs 'sync_*' --expires-in 90d",
  )
  await confirm(page, /change nothing. Only for the jobs sync_\*/, 'dashboards')
  const made = page.getByRole('region', { name: 'New token' }).first()
  const secret = await made.locator('code').innerText()
  const headers = { authorization: `Bearer ${secret}` }
  expect((await fetch(`${served.url}/api/v1/session`, { headers })).status).toBe(200)
  await expectAccessible(page)
  const row = page.getByRole('row', { name: /grafana/ })
  await row.getByRole('button', { name: 'Revoke…' }).click()
  await confirm(page, /invalid on all nodes/, 'not needed')
  await row.waitFor({ state: 'detached' })
  expect((await fetch(`${served.url}/api/v1/session`, { headers })).status).toBe(401)
  await page.reload()
  await page.getByLabel('also revoked').check()
  await row.getByText('revoked').waitFor()
  expect(await page.content()).not.toContain(secret)
})

it('a service of the chosen node restarts, after the dialog has said what that means', async () => {
  const { nodeId = '' } = await served.app.services.tree()
  const page = await opened('/nodes')
  await page.getByRole('combobox', { name: 'Node' }).selectOption(nodeId)
  expect(page.url()).toContain(`services=${nodeId}`)
  const services = page.getByRole('region', { name: 'Services' })
  const prices = services.getByRole('listitem').filter({ hasText: /^Prices/ })
  // Parts of Piko have no button.
  await prices.getByRole('button', { name: 'Restart…' }).waitFor()
  expect(
    await services
      .getByRole('listitem')
      .filter({ hasText: /^store/ })
      .getByRole('button')
      .count(),
  ).toBe(0)
  await expectAccessible(page)
  await prices.getByRole('button', { name: 'Restart…' }).click()
  await confirm(page, /stops and starts again on this node/, 'its feed is stuck')
  await prices.getByText('restarted 1 time').waitFor()
  expect(await served.app.audit.list({ verb: 'services.restart' })).toMatchObject([{ reason: 'its feed is stuck' }])
})

it('a page that does not exist, and one whose data does not load, say what to do', async () => {
  const page = await watchedPage(browser, { expected: /status of 404|ERR_FAILED/ })
  await page.goto(`${served.url}/nowhere`)
  await page.getByRole('link', { name: 'Go to the overview' }).click()
  await page.getByRole('heading', { name: 'Overview' }).waitFor()
  await page.goto(`${served.url}/runs/999999`)
  await page.getByRole('alert').getByText('999999').waitFor()
  await page.route('**/api/v1/audit*', (route) => route.abort())
  await page.getByRole('link', { name: 'Audit' }).click()
  await page.getByRole('alert').getByText('No answer from the server').waitFor()
  const again = page.waitForRequest('**/api/v1/audit*')
  await page.getByRole('button', { name: 'Try again' }).click()
  await again
  // The page asks again by itself too, as soon as a change is reported.
  await page.unroute('**/api/v1/audit*')
  await page.reload()
  await page.getByRole('region', { name: 'Changes' }).last().getByText('jobs.pause').first().waitFor()
})
