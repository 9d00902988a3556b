import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type axe from 'axe-core'
import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'
import { PATIENCE_MS } from '../support/patience.ts'

const AXE = fileURLToPath(import.meta.resolve('axe-core/axe.min.js'))

interface WatchOptions extends BrowserContextOptions {
  /** Errors that a test causes on purpose, such as a refused request. */
  readonly expected?: RegExp
}

/** A new page of a new session. The test fails if the page has an error, or does what its policy forbids. */
export async function watchedPage(browser: Browser, { expected, ...options }: WatchOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await context.addInitScript(await readFile(AXE, 'utf8'))
  const problems: string[] = []
  const page = await context.newPage()
  const note = (text: string): void => {
    if (!expected?.test(text)) problems.push(text)
  }
  page.on('pageerror', (error) => note(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content.Security|Trusted/i.test(message.text())) note(message.text())
  })
  onTestFinished(async () => {
    const hurt = await page.evaluate('window.hurt').catch(() => undefined)
    await context.close()
    expect(problems).toEqual([])
    expect(hurt).toBeUndefined()
  })
  return page
}

/** Confirms the action whose dialog is open, after its preview was shown. */
export async function confirm(page: Page, preview: string | RegExp, reason: string): Promise<void> {
  const dialog = page.getByRole('dialog')
  await dialog.getByText(preview).first().waitFor()
  await dialog.getByLabel('Reason').fill(reason)
  await dialog.getByRole('button').first().click()
  await dialog.waitFor({ state: 'detached' })
}

/** Fails if axe finds a serious or critical violation on the page, in light or dark. */
export async function expectAccessible(page: Page): Promise<void> {
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    const { violations } = await page.evaluate<axe.AxeResults>('axe.run()')
    const grave = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
    expect(
      grave.map(({ id, nodes }) => [colorScheme, id, nodes.map(({ html, failureSummary }) => [html, failureSummary])]),
    ).toEqual([])
  }
}
