// A year of a daily job with a retry after ten minutes each day, on the clock of a test: node --conditions=piko-source bench/scripts/test-clock.ts [dsn]
import { defineJob } from '../../src/index.ts'
import { ManualClock, startTestApp } from '../../src/testing/index.ts'

const [dsn] = process.argv.slice(2)
const clock = new ManualClock('2026-01-01T00:00:00Z')
let calls = 0
const daily = defineJob(
  { id: 'daily', cron: '0 6 * * *', retry: { limit: 1, base: '10m', max: '10m', jitter: false } },
  ({ attempt }) => {
    calls += 1
    if (attempt === 1) throw new Error('the first attempt fails')
  },
)
await using app = await startTestApp({ jobs: daily, clock, ...(dsn && { settings: { mysql: { dsn } } }) })
const cpu = process.cpuUsage()
const began = performance.now()
await app.advance('365d')
const { user, system } = process.cpuUsage(cpu)
console.log(
  `${calls} attempts, ${Math.round(performance.now() - began)} ms of wall time, ${Math.round((user + system) / 1_000)} ms of CPU`,
)
