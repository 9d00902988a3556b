import { type Browser, chromium } from 'playwright-core'
import { findProgram, installPackage } from './mysql-server.ts'
import { PATIENCE_MS } from './patience.ts'

const HOW_TO = `The tests of the dashboard need Chromium. Do one of these:
  1. put chromium or google-chrome on the PATH;
  2. run the tests as root on Debian: chromium is then installed with apt-get.`

let installing: Promise<void> | undefined

/** Starts a Chromium without windows; installs one if there is none. */
export async function startBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: await program(),
    // Chromium does not start as root while its sandbox is on.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'],
    timeout: PATIENCE_MS,
  })
}

async function program(): Promise<string> {
  const found = findChromium()
  if (found !== undefined) return found
  await (installing ??= installPackage('chromium', HOW_TO))
  const installed = findChromium()
  if (installed === undefined) throw new Error(`chromium was installed, but there is no such program.\n${HOW_TO}`)
  return installed
}

function findChromium(): string | undefined {
  return findProgram('chromium') ?? findProgram('chromium-browser') ?? findProgram('google-chrome')
}
