import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Piko } from '../src/app/piko.ts'
import { HttpService } from '../src/http/http-service.ts'
import { databaseOptions } from '../src/store/open-store.ts'
import { openDatabase } from '../src/store/connection/database.ts'
import { migrate } from '../src/store/migration/migrate.ts'
import { type ScaleRequest, scaleRequests } from '../test/support/scale/scale-requests.ts'
import { fillStore, type ScaleStore } from '../test/support/scale/scale-store.ts'
import { percentile } from './harness/percentile.ts'
import { Servers } from './harness/servers.ts'

const GOAL_MS = 100

interface Measured {
  readonly name: string
  readonly status: number
  readonly p50: number
  readonly p95: number
}

/**
 * Fills a store with runs and windows, and measures every list, filter, grid and summary of the API over HTTP.
 *
 * `--keep FILE` saves where the store is, and uses it again if the file exists; only with a store of your own (`--dsn`, `--path`).
 */
export async function apiScale(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      store: { type: 'string', default: 'sqlite' },
      runs: { type: 'string', default: '2000000' },
      windows: { type: 'string', default: '1000000' },
      repeat: { type: 'string', default: '20' },
      only: { type: 'string', default: '' },
      dsn: { type: 'string' },
      path: { type: 'string' },
      keep: { type: 'string' },
    },
  })
  await using servers = new Servers()
  const at = values.dsn ?? values.path ?? (await (await servers.get(values.store === 'mysql' ? 'mysql' : 'file')).dsn())
  const place = values.store === 'mysql' ? { mysql: { dsn: at } } : { sqlite: { path: at } }
  const app = new Piko({
    jobs: [],
    execute: false,
    settings: { ...place, piko: { log_level: 'silent' }, http: { port: 0, rate_limit: 0 } },
  })
  const filled = await storeOf(app, values.keep, { runs: Number(values.runs), windows: Number(values.windows) })
  const server = app.addService(new HttpService(app, app.settings.http))
  await app.start()
  try {
    const wanted = scaleRequests(filled).filter(({ name }) => name.includes(values.only))
    const measured: Measured[] = []
    for (const request of wanted) measured.push(await measure(`${server.url}/api/v1`, request, Number(values.repeat)))
    const slow = measured.filter(({ p95, status }) => p95 > GOAL_MS || status !== 200)
    for (const one of measured) console.log(line(one))
    const runs = filled.runs.toLocaleString('en')
    console.log(
      `\n${values.store}, ${runs} runs, ${filled.windows.toLocaleString('en')} windows: ${measured.length} requests`,
    )
    console.log(`over ${GOAL_MS} ms at p95, or refused: ${slow.map(({ name }) => name).join('; ') || 'none'}`)
    if (slow.length > 0) process.exitCode = 1
  } finally {
    await app.stop()
  }
}

/** The generated store: made now, or before if `keep` names the file of an earlier one. */
async function storeOf(
  app: Piko,
  keep: string | undefined,
  size: { readonly runs: number; readonly windows: number },
): Promise<ScaleStore> {
  const saved = keep === undefined ? undefined : savedStore(keep)
  const database = await openDatabase(databaseOptions(app.settings))
  try {
    await migrate(database, { direction: 'up' })
    if (saved) return saved
    const began = performance.now()
    const filled = await fillStore(database, size)
    console.error(`filled the store in ${Math.round((performance.now() - began) / 1_000)} s`)
    if (keep !== undefined) writeFileSync(keep, JSON.stringify(filled))
    return filled
  } finally {
    await database.close()
  }
}

function savedStore(file: string): ScaleStore | undefined {
  try {
    const saved = JSON.parse(readFileSync(file, 'utf8')) as ScaleStore
    return { ...saved, begin: new Date(saved.begin), end: new Date(saved.end) }
  } catch {
    return undefined
  }
}

async function measure(base: string, { name, path }: ScaleRequest, repeat: number): Promise<Measured> {
  const times: number[] = []
  let status = 0
  for (let round = 0; round <= repeat; round++) {
    const began = performance.now()
    const response = await fetch(`${base}${path}`)
    const text = await response.text()
    ;({ status } = response)
    if (status !== 200) console.error(`${name}: ${status} ${text.slice(0, 300)}`)
    // The first request fills the caches of the database.
    if (round > 0) times.push(performance.now() - began)
  }
  return { name, status, p50: percentile(times, 50), p95: percentile(times, 95) }
}

function line({ name, status, p50, p95 }: Measured): string {
  return `${name.padEnd(44)} ${String(status).padStart(4)} ${p50.toFixed(1).padStart(9)} ${p95.toFixed(1).padStart(9)} ms${p95 > GOAL_MS ? '  SLOW' : ''}`
}
