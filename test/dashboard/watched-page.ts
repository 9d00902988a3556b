import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type axe from 'axe-core'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { expect, onTestFinished } from 'vitest'

const AXE = fileURLToPath(import.meta.resolve('axe-core/axe.min.js'))
/** Ten times what a page takes on a busy machine. */
export const PATIENCE_MS = 60_000

export function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Chromium does not start as root while its sandbox is on.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    timeout: PATIENCE_MS,
  })
}

/** A new page of a new session. The test fails if the page has an error, or does what its policy forbids. */
export async function watchedPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options })
  context.setDefaultTimeout(PATIENCE_MS)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await context.addInitScript(await readFile(AXE, 'utf8'))
  const problems: string[] = []
  const page = await context.newPage()
  page.on('pageerror', (error) => problems.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' || /Content.Security|Trusted/i.test(message.text())) problems.push(message.text())
  })
  onTestFinished(async () => {
    const hurt = await page.evaluate('window.hurt').catch(() => undefined)
    await context.close()
    expect(problems).toEqual([])
    expect(hurt).toBeUndefined()
  })
  return page
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
