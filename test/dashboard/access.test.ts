import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ANY_ROUTES } from '../../src/api/routes.ts'
import type { Role } from '../../src/api/actor.ts'
import { roleFor } from '../../src/dashboard/shared/roles.ts'
import { defineJob } from '../../src/job/define-job.ts'
import { startBrowser } from '../support/chromium.ts'
import { type Served, serveApp } from './served-app.ts'
import { confirm, expectAccessible, watchedPage } from './watched-page.ts'

let served: Served
let browser: Browser
const tokens: Record<string, string> = {}

beforeAll(async () => {
  const jobs = [defineJob({ id: 'hourly', cron: '0 * * * *' }, () => 1), defineJob({ id: 'other' }, () => 1)]
  served = await serveApp(jobs, { http: { require_token: true } })
  for (const role of ['viewer', 'operator', 'admin'] as const)
    tokens[role] = (await served.app.tokens.create({ name: `the ${role}`, role })).token
  browser = await startBrowser()
})

afterAll(async () => {
  await browser?.close()
  await served?.close()
})

/** A refused request is an error in the browser's console, whatever the page does with it. */
const REFUSED = /status of 40[13]/

async function loggedIn(role: Role, path: string): Promise<Page> {
  const page = await watchedPage(browser, { expected: REFUSED })
  await page.goto(`${served.url}${path}`)
  await page.getByLabel('Token').fill(tokens[role] ?? '')
  await page.keyboard.press('Enter')
  await page.getByText(`the ${role} (${role})`).waitFor()
  return page
}

it('a page asks for a token, keeps its address, and forgets the token at the end', async () => {
  const page = await watchedPage(browser, { expected: REFUSED })
  await page.goto(`${served.url}/jobs/hourly`)
  await page.getByLabel('Token').fill('piko_wrong')
  await expectAccessible(page)
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('alert').getByText('unknown, revoked or expired').waitFor()
  await page.getByLabel('Token').fill(tokens['operator'] ?? '')
  await page.getByRole('button', { name: 'Log in' }).click()
  await page.getByRole('heading', { level: 1, name: 'hourly' }).waitFor()
  await page.getByRole('button', { name: 'live by events' }).waitFor()
  const kept = await page.evaluate(
    'JSON.stringify([localStorage, sessionStorage, document.cookie, document.body.outerHTML])',
  )
  expect(kept).not.toContain(tokens['operator'])
  await page.reload()
  await page.getByRole('heading', { level: 1, name: 'hourly' }).waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByLabel('Token').waitFor()
})

it('a viewer sees each button and why it is off', async () => {
  const page = await loggedIn('viewer', '/jobs/hourly')
  const pause = page.getByRole('button', {
    name: 'Pause… (it needs the role operator; the viewer has the role viewer)',
  })
  await pause.waitFor()
  expect(await pause.getAttribute('aria-disabled')).toBe('true')
  await pause.click({ force: true })
  expect(await page.getByRole('dialog').count()).toBe(0)
  await expectAccessible(page)
  // A form shows what it would do, and why it can't.
  await page.getByRole('button', { name: 'Run…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText("You can't do this: it needs the role operator; the viewer has the role viewer.").waitFor()
  const act = dialog.locator('button[type=submit]')
  expect(await act.getAttribute('aria-disabled')).toBe('true')
  const before = await served.app.runs.list()
  await act.click({ force: true })
  await expectAccessible(page)
  expect(await served.app.runs.list()).toHaveLength(before.length)
  await page.keyboard.press('Escape')
  // So does the palette.
  await page.keyboard.press('Control+k')
  const combobox = page.getByRole('combobox', { name: 'A page' })
  for (const [text, needed] of [
    ['pause hourly', 'operator'],
    ['roll back config hourly', 'operator'],
    ['override schedule hourly', 'operator'],
    ['cancel all queued', 'operator'],
    ['drain node', 'operator'],
    ['create token', 'admin'],
  ] as const) {
    await combobox.fill(text)
    const entry = page.getByRole('option', { name: `it needs the role ${needed}` })
    await entry.waitFor()
    expect(await entry.getAttribute('aria-disabled')).toBe('true')
  }
  await combobox.fill('stale')
  await page.getByRole('option', { name: 'Mark windows stale (type a day too' }).waitFor()
})

it('a token that is limited to jobs is led to them, and the palette offers only theirs', async () => {
  const { token } = await served.app.tokens.create({ name: 'the guest', role: 'viewer', jobs: ['other', 'sync_*'] })
  const page = await watchedPage(browser, { expected: REFUSED })
  await page.goto(served.url)
  await page.getByLabel('Token').fill(token)
  await page.keyboard.press('Enter')
  const alert = page.getByRole('alert')
  await alert.getByText('limited to the jobs other, sync_*').waitFor()
  await alert.getByLabel('The id of a job that matches sync_*').waitFor()
  expect(await alert.count()).toBe(1)
  await expectAccessible(page)
  await page.keyboard.press('Control+k')
  await page.getByRole('combobox', { name: 'A page' }).fill('pause')
  await page.getByRole('option', { name: 'Pause other (it needs the role operator' }).waitFor()
  expect(await page.getByRole('option', { name: 'Pause hourly' }).count()).toBe(0)
  await page.keyboard.press('Escape')
  await alert.getByRole('link', { name: 'other' }).click()
  await page.getByRole('heading', { level: 1, name: 'other' }).waitFor()
})

it('an operator changes a job, and the audit has the name and the reason', async () => {
  const page = await loggedIn('operator', '/jobs/hourly')
  await page.getByRole('button', { name: 'Pause…' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Copy as curl' }).click()
  const curl = String(await page.evaluate('navigator.clipboard.readText()'))
  expect(curl).toMatch(/^curl -H "authorization: Bearer \$PIKO_TOKEN" -X POST /)
  await confirm(page, /No tick starts a run/, 'a holiday')
  await page.getByRole('button', { name: 'Resume…' }).waitFor()
  const [entry] = await served.app.audit.list({ verb: 'jobs.pause' })
  expect(entry).toMatchObject({ actor: { kind: 'session', name: 'the operator' }, reason: 'a holiday' })
})

it('a session that ends in the middle of an action asks for a token, and the action continues after it', async () => {
  const page = await loggedIn('operator', '/jobs/other')
  await page.getByRole('button', { name: 'Pause…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Reason').fill('a long reason')
  await page.context().clearCookies()
  const token = page.getByLabel('Token')
  // The page's own requests may notice the end of the session before the button is pressed: then the dialog has already given way.
  const asksForToken = async (): Promise<boolean> => {
    const button = dialog.getByRole('button').first()
    if (await button.isVisible()) await button.click({ timeout: 1_000 }).catch(() => {})
    return token.isVisible()
  }
  await expect.poll(asksForToken).toBe(true)
  await token.fill(tokens['operator'] ?? '')
  await page.keyboard.press('Enter')
  await dialog.getByText(/No tick starts a run/).waitFor()
  expect(await dialog.getByLabel('Reason').inputValue()).toBe('a long reason')
  await dialog.getByRole('button').first().click()
  await page.getByRole('button', { name: 'Resume…' }).waitFor()
  const [entry] = await served.app.audit.list({ verb: 'jobs.pause', jobId: 'other' })
  expect(entry).toMatchObject({ reason: 'a long reason' })
})

it('knows the role of every operation', () => {
  const wrong = ANY_ROUTES.filter(({ audit }) => audit !== undefined).filter(
    (route) => roleFor({ path: route.path.replaceAll(/\{\w+\}/g, 'x') }) !== route.role,
  )
  expect(wrong.map(({ id, role }) => [id, role])).toEqual([])
})
