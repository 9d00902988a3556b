import { access, constants } from 'node:fs/promises'
import type { Browser } from 'playwright-core'
import { PikoError } from '../../errors.ts'
import { headline } from '../../errors-read.ts'
import { optionalPackage } from '../../optional-package.ts'
import { redactText } from '../../run/redact.ts'
import { durationMs } from '../../time/duration.ts'
import type { BrowserOptions } from './browser-options.ts'

/** The paths at which Linux distributions install Chromium and Chrome. */
const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Prevents WebRTC from bypassing the proxy with datagrams. The name of this switch depends on the version of Chromium. */
const PROXIED_ONLY = ['--force-webrtc-ip-handling-policy', '--webrtc-ip-handling-policy'].map(
  (name) => `${name}=disable_non_proxied_udp`,
)

/**
 * Starts a browser.
 *
 * @param proxy the URL of the guard proxy in this process; all connections of the browser use it. Undefined: no guard
 * @throws PikoError `PACKAGE_MISSING`, `RESOURCE_FAILED`
 */
export async function startChromium(options: Partial<BrowserOptions>, proxy: string | undefined): Promise<Browser> {
  const { chromium } = await optionalPackage('playwright-core', 'browser()', () => import('playwright-core'))
  const { args = [], headless = true, startTimeout = '30s' } = options
  const executablePath = options.executablePath ?? (await installed())
  // As root, Chromium starts only with its sandbox off.
  const rootArgs = process.getuid?.() === 0 ? ['--no-sandbox'] : []
  try {
    return await chromium.launch({
      headless,
      args: [...rootArgs, '--disable-dev-shm-usage', ...PROXIED_ONLY, ...args],
      timeout: durationMs(startTimeout),
      ...(executablePath !== undefined && { executablePath }),
      // By default, Chromium connects to this machine's own addresses without the proxy. Then the guard could not check these connections.
      ...(proxy !== undefined && { proxy: { server: proxy, bypass: '<-loopback>' } }),
    })
  } catch (cause) {
    throw new PikoError(
      'RESOURCE_FAILED',
      `browser() could not start Chromium: ${redactText(headline(cause))}; install it (Debian: apt install chromium), or set executablePath to its path`,
      { cause },
    )
  }
}

async function installed(): Promise<string | undefined> {
  for (const place of PLACES) {
    const isThere = await access(place, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return place
  }
  return undefined
}
