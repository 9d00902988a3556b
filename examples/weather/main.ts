/**
 * The demo: loads four years of weather, one window per day, from an HTTP station into a table, and checks it against
 * the source.
 *
 *   npm run demo [-- --serve] [-- --json]
 */
import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { isPikoError, Piko } from 'piko'
import { HttpService } from 'piko/http'
import { catchUp } from './catch-up.ts'
import { monthlyMeans } from './chart.ts'
import { STATION_VARIABLE, weather, WeatherJobs } from './jobs.ts'
import { showProgress } from './progress.ts'
import { report, type Summary } from './report.ts'
import { readWeatherFile, type WeatherFile } from './source.ts'
import { startStation } from './station.ts'
import { verify } from './verify.ts'

const DAY_MS = 86_400_000
const TOTAL = (Date.parse(weather.windows?.end ?? '') - Date.parse(weather.windows?.start ?? '')) / DAY_MS

const { values: options } = parseArgs({ options: { serve: { type: 'boolean' }, json: { type: 'boolean' } } })
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
    const file = readWeatherFile()
    if (!process.env[STATION_VARIABLE]) {
      const station = await startStation(file)
      cleanup.defer(() => station.close())
      process.env[STATION_VARIABLE] = station.url
    }
    const app = cleanup.use(new Piko({ jobs: WeatherJobs }))
    const http = options.serve ? app.addService(new HttpService(app, app.settings.http), { first: true }) : undefined
    const summary = await fetchAll(app, file, http)
    print(options.json ? JSON.stringify(summary) : report(summary))
    if (http) await serve(http)
    return summary.windows.succeeded === TOTAL && summary.mismatches.length === 0 ? 0 : 1
  } catch (error) {
    if (interrupted.signal.aborted) {
      print('interrupted; run the demo again to go on')
      return 130
    }
    console.error(isPikoError(error) ? error.message : error)
    return 1
  }
}

async function fetchAll(app: Piko, file: WeatherFile, http: HttpService | undefined): Promise<Summary> {
  const run = { succeeded: 0, failed: 0 }
  app.events.on('run.settled', ({ state }) => {
    if (state === 'succeeded' || state === 'failed') run[state] += 1
  })
  const own = new Set<number>()
  app.events.on('run.started', ({ runId }) => own.add(runId))
  const startedAt = performance.now()
  await app.start()
  if (http) say(`dashboard: ${calendarOf(http)}`)
  say(`fetching ${TOTAL} days of weather into ${app.storeLocation}, 20 windows at once`)
  await retryFailed(app)
  const progress = options.json ? undefined : showProgress(TOTAL, say)
  const windows = await catchUp(app, weather.id, TOTAL, {
    own,
    signal: interrupted.signal,
    onProgress: (done) => progress?.update(done),
    onStalled: (held) =>
      progress?.note(
        `  ${held} windows belong to another process; if it is dead they are free when its lease of ` +
          `${app.settings.piko.leaseMs / 1_000} s ends`,
      ),
  }).finally(() => progress?.stop())
  const wallMs = performance.now() - startedAt
  const failures = await app.windows.list(weather.id, { state: 'failed', limit: TOTAL })
  const settled = run.succeeded + run.failed
  return {
    store: app.storeLocation,
    windows: { total: TOTAL, ...windows, run: settled, elsewhere: windows.succeeded - run.succeeded },
    failures: failures.map(({ start, error = 'unknown' }) => ({ window: start.toISOString().slice(0, 10), error })),
    wallMs: Math.round(wallMs),
    windowsPerSecond: Math.round((settled / wallMs) * 1_000),
    monthlyMeans: await monthlyMeans(app),
    ...(await verify(app, file)),
  }
}

/** Retries windows that used up their retries in an earlier run of the demo. */
async function retryFailed(app: Piko): Promise<void> {
  const failed = await app.windows.list(weather.id, { state: 'failed', limit: TOTAL })
  if (failed.length > 0) say(`${failed.length} windows had failed before; they are run again`)
  await Promise.all(failed.map(({ start }) => app.run(weather.id, { window: start })))
}

/** The page of the job, with the calendar of its four years. */
function calendarOf({ url }: HttpService): string {
  return `${url}/jobs/${weather.id}`
}

async function serve(http: HttpService): Promise<void> {
  const { url } = http
  say(
    `\nserving until Ctrl-C:\n  ${calendarOf(http)}\n  ${url}/metrics\n  ${url}/readyz\n  ${url}/healthz\n  ${url}/graph`,
  )
  if (!interrupted.signal.aborted) await once(interrupted.signal, 'abort')
}
