// A node of the chaos suite: a process that is killed, paused or cut off, and whose clock is wrong.
import { createPool } from 'mysql2/promise'
import { Piko } from 'piko'
import { connected } from '../support/counting-server.ts'
import { chaosJobs } from './jobs.ts'
import type { NodeOrder } from './node-order.ts'

const { dsn, leaseMs, windowsStart, commitsOutside, everyMs, port } = JSON.parse(process.argv[2] ?? '{}') as NodeOrder

const pool = createPool({ uri: dsn, connectionLimit: 10, timezone: 'Z', connectTimeout: 5_000 })
const app = new Piko({
  jobs: chaosJobs({ pool, windowsStart, commitsOutside, everyMs, server: await connected(port) }),
  settings: {
    piko: {
      lease: `${leaseMs}ms`,
      poll_interval: '200ms',
      concurrency: 20,
      shutdown_timeout: '3s',
      auto_migrate: false,
      log_level: 'info',
    },
    mysql: { dsn, connect_timeout: '2s' },
  },
  graceMs: 500,
})
process.once('SIGTERM', () => void app.stop().finally(() => process.exit(0)))
app.events.on('run.lost', ({ runId }) => process.stdout.write(`lost ${runId}\n`))
await app.start()
process.stdout.write('started\n')
