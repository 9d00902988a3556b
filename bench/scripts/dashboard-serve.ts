import { Piko } from '../../src/app/piko.ts'
import { HttpService } from '../../src/http/http-service.ts'
import { openDatabase } from '../../src/store/connection/database.ts'
import { migrate } from '../../src/store/migration/migrate.ts'
import { databaseOptions } from '../../src/store/open-store.ts'
import { ScaleSql } from '../../test/support/scale/scale-sql.ts'

const HOUR_MS = 3_600_000
const WINDOWS = JSON.stringify({ start: '2020-01-01T00:00:00.000Z' })

/**
 * Serves the dashboard of a SQLite store without executing anything, and prints its address. Its options are the first argument, as JSON.
 * `grid` fills a new store first: this number of jobs, each with this number of windows of an hour.
 */
const order = JSON.parse(process.argv[2] ?? '{}') as {
  readonly path: string
  readonly port?: number
  readonly grid?: { readonly jobs: number; readonly windows: number }
}
const app = new Piko({
  jobs: [],
  execute: false,
  settings: {
    sqlite: { path: order.path },
    piko: { log_level: 'silent' },
    http: { port: order.port ?? 0, rate_limit: 0 },
  },
})
if (order.grid) await fillGrid(order.grid)
const server = app.addService(new HttpService(app, app.settings.http))
await app.start()
console.log(`ready ${server.url}`)

async function fillGrid({ jobs, windows }: { readonly jobs: number; readonly windows: number }): Promise<void> {
  const database = await openDatabase(databaseOptions(app.settings))
  await migrate(database, { direction: 'up' })
  const sql = new ScaleSql(database)
  const beginMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - windows * HOUR_MS
  const now = sql.at(Date.now(), '0')
  await sql.fill('piko_job', jobs, {
    ...{ id: sql.named('job-', 'i'), windows: `'${WINDOWS}'`, created_at: now, updated_at: now },
  })
  const place = sql.div('i', jobs)
  await sql.fill('piko_window', jobs * windows, {
    job_id: sql.named('job-', `i % ${jobs}`),
    start_at: sql.at(beginMs, `${place} * ${HOUR_MS}`),
    end_at: sql.at(beginMs, `(${place} + 1) * ${HOUR_MS}`),
    state: sql.oneOf(sql.chance('i'), { failed: 40, stale: 40, skipped: 20, waiting: 20 }, 'succeeded'),
    ...{ run_id: 'i + 1', fence: '(i + 1) * 65536 + 1', updated_at: now },
  })
  await database.close()
}
