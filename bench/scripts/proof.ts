import { monitorEventLoopDelay } from 'node:perf_hooks'
import { defineJob, Piko } from 'piko'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { aboutPiko, storeSettings } from './about.ts'

const FROM = Date.UTC(2024, 0, 1)
const MINUTE_MS = 60_000
const ROWS = 10
const CHUNK = 500
/** See `FENCE_FACTOR`. */
const FENCE_FACTOR = 65_536
const LAYOUT = { windowColumn: 'window_start', fenceColumn: 'fence', columns: ['id'], key: ['id'], isOwn: true }

/** The time and memory of a proof; the ledger and the rows are written directly, as runs would have left them. */
export default async function proof(config: SystemConfig): Promise<Found> {
  const windows = Number(config['windows'])
  const end = new Date(FROM + windows * MINUTE_MS)
  const job = defineJob(
    { id: 'minutes', cron: '* * * * *', windows: { start: new Date(FROM), end, catchUp: 'none' } },
    () => {},
  )
  const app = new Piko({ jobs: job, settings: { ...storeSettings(config), piko: { log_level: 'silent' } } })
  await app.start()
  await fill(app, config, windows)
  const about = await aboutPiko(app, config)
  const cpu = process.cpuUsage()
  const rssBefore = process.memoryUsage.rss()
  const delay = monitorEventLoopDelay({ resolution: 10 })
  delay.enable()
  let rss = 0
  const watch = setInterval(() => (rss = Math.max(rss, process.memoryUsage.rss())), 100)
  const began = performance.now()
  const { isProved, windows: counts, tables } = await app.windows.prove('minutes')
  const tookS = (performance.now() - began) / 1_000
  clearInterval(watch)
  const { user, system } = process.cpuUsage(cpu)
  if (!isProved || counts.succeeded !== windows || tables[0]?.rows !== windows * ROWS)
    throw new Error('the ledger was not proved')
  await app.stop()
  return {
    about,
    values: {
      proved: { value: tookS, unit: 's' },
      'CPU of the process': { value: (user + system) / 1_000_000, unit: 's' },
      'growth of the peak RSS': { value: (rss - rssBefore) / 1e6, unit: 'MB' },
      'event loop delay p99': { value: delay.percentile(99) / 1e6, unit: 'ms' },
      'event loop delay, maximum': { value: delay.max / 1e6, unit: 'ms' },
    },
    settings: { windows, rows: windows * ROWS },
  }
}

async function fill(app: Piko, { store }: SystemConfig, windows: number): Promise<void> {
  const isMysql = store === 'mysql'
  const instant = (ms: number): string => {
    const text = new Date(ms).toISOString()
    return isMysql ? text.slice(0, 23).replace('T', ' ') : text
  }
  const type = isMysql ? 'DATETIME(3)' : 'TEXT'
  await app.sql.exec('DROP TABLE IF EXISTS bench_rows')
  await app.sql.exec(
    `CREATE TABLE bench_rows (id INT NOT NULL, window_start ${type} NOT NULL, fence BIGINT NOT NULL, PRIMARY KEY (window_start, id))`,
  )
  await app.sql.exec('CREATE INDEX bench_rows_fence ON bench_rows (window_start, fence)')
  await app.sql.exec('INSERT INTO piko_job_table (job_id, table_name, layout) VALUES (?, ?, ?)', [
    ...['minutes', 'bench_rows', JSON.stringify(LAYOUT)],
  ])
  for (let from = 0; from < windows; from += CHUNK) {
    const numbers = Array.from({ length: Math.min(CHUNK, windows - from) }, (_, index) => from + index)
    const runs: string[] = []
    const ledger: string[] = []
    const recorded: string[] = []
    const rows: string[] = []
    for (const number of numbers) {
      const start = instant(FROM + number * MINUTE_MS)
      const end = instant(FROM + (number + 1) * MINUTE_MS)
      const id = number + 1
      const fence = id * FENCE_FACTOR + 1
      runs.push(`(${id},'minutes','succeeded','backfill',0,'${end}','${start}','${end}',1,1,'${end}')`)
      ledger.push(`('minutes','${start}','${end}','succeeded',${id},${fence},'${end}')`)
      recorded.push(`('minutes','bench_rows','${start}',${fence},${ROWS})`)
      for (let row = 0; row < ROWS; row++) rows.push(`(${row},'${start}',${fence})`)
    }
    // Executed separately: on a busy machine, one transaction for all of them would exceed its time limit.
    await app.sql.exec(
      `INSERT INTO piko_run (id, job_id, state, kind, priority, run_at, window_start, window_end, attempt, claims, created_at) VALUES ${runs.join(',')}`,
    )
    await app.sql.exec(
      `INSERT INTO piko_window (job_id, start_at, end_at, state, run_id, fence, updated_at) VALUES ${ledger.join(',')}`,
    )
    await app.sql.exec(
      `INSERT INTO piko_window_rows (job_id, table_name, start_at, fence, row_count) VALUES ${recorded.join(',')}`,
    )
    await app.sql.exec(`INSERT INTO bench_rows (id, window_start, fence) VALUES ${rows.join(',')}`)
  }
}
