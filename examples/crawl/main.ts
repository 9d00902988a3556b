/**
 * The crawl demo: loads ten days of a cinema's pages, made from vega-datasets, into typed tables, and checks them against the data. Kill it
 * and run it again: it continues where it stopped.
 *
 *   npm run demo:crawl [-- --json]
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isPikoError, Piko } from 'piko'
import { DAYS, readSiteData } from './data.ts'
import { cinema } from './jobs.ts'
import { progressOf, progressText } from './progress.ts'
import { startSite } from './site.ts'
import { verify } from './verify.ts'

const POLL_MS = 250
/** The same in each process, so that requests that a killed one has stored still lead to the site. */
const PORTS = [41_730, 41_731] as const

const { values: options } = parseArgs({ options: { json: { type: 'boolean' } } })
const print = (line: string): void => void process.stdout.write(`${line}\n`)
const say = options.json ? (): void => {} : print

// Logs only warnings, unless you want to see the engine at work.
process.env['PIKO_LOG_LEVEL'] ??= 'warn'

const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

process.exitCode = await main()

async function main(): Promise<number> {
  await using cleanup = new AsyncDisposableStack()
  try {
    const data = readSiteData()
    if (!process.env['CINEMA_URL']) {
      const site = await startSite(data, PORTS)
      cleanup.defer(() => site.close())
      process.env['CINEMA_URL'] = site.cinema
      process.env['RATINGS_URL'] = site.ratings
    }
    const app = cleanup.use(new Piko({ jobs: cinema }))
    await app.start()
    say(`crawling ${DAYS} days of the cinema into ${app.storeLocation}, four at a time`)
    const { days, failed } = await untilCrawled(app)
    const mismatches = await verify(app, data)
    const summary = { days, failed, mismatches }
    if (options.json) print(JSON.stringify(summary))
    else print(mismatches.length === 0 ? '  verified: every row equals the data' : mismatches.join('\n'))
    return days === DAYS && mismatches.length === 0 ? 0 : 1
  } catch (error) {
    if (interrupted.signal.aborted) {
      print('interrupted; run the demo again to go on')
      return 130
    }
    console.error(isPikoError(error) ? error.message : error)
    return 1
  }
}

/** @throws the signal's reason once the demo is interrupted */
async function untilCrawled(app: Piko): Promise<{ readonly days: number; readonly failed: number }> {
  let shown = ''
  for (;;) {
    const progress = await progressOf(app, cinema.id)
    const text = progressText(progress)
    if (text !== shown) say((shown = text))
    if (progress.days + progress.failed >= DAYS) return progress
    await sleep(POLL_MS, undefined, { signal: interrupted.signal })
  }
}
