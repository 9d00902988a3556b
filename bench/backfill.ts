/**
 * A backfill of two years of minutes, 1,051,200 windows: `npm run bench -- backfill --store mysql`. One process makes and plans
 * it, another executes its runs, so that CPU time and memory of the planning are known apart. One JSON line a measurement.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { createConnection } from 'mysql2/promise'
import { defineJob, Piko } from 'piko'
import { startMysqlServer } from '../test/support/mysql-server.ts'

const FROM = '2022-01-01T00:00:00Z'
const TO = '2024-01-01T00:00:00Z'
const EXECUTES = 'PIKO_BENCH_EXECUTES'

const minutes = defineJob(
  { id: 'minutes', cron: '* * * * *', windows: { start: FROM, end: TO, catchUp: 'none' } },
  () => {},
)

/** Takes the only slot of the process that plans, so that it executes nothing else. */
const hold = defineJob({ id: 'hold' }, ({ signal }) => once(signal, 'abort'))

export async function backfill(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      store: { type: 'string', default: 'sqlite' },
      to: { type: 'string', default: TO },
      parallel: { type: 'string', default: '1000' },
    },
  })
  if (values.store !== 'mysql' && values.store !== 'sqlite') {
    throw new Error(`--store is "${values.store}"; expected mysql or sqlite`)
  }
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-'))
  const server = values.store === 'mysql' ? await startMysqlServer() : undefined
  if (server) {
    const connection = await createConnection(server.dsn)
    await connection.query('CREATE DATABASE IF NOT EXISTS piko_bench')
    await connection.end()
  }
  const store = server
    ? { mysql: { dsn: `${server.dsn.replace(/\/$/, '')}/piko_bench` } }
    : { sqlite: { path: join(folder, 'piko.db') } }
  const app = new Piko({ jobs: [minutes, hold], settings: { ...store, piko: { log_level: 'warn', concurrency: 1 } } })
  await app.start()
  const held = await app.run('hold')
  const child = fork(new URL(import.meta.url), {
    env: { ...process.env, [EXECUTES]: JSON.stringify({ ...store, piko: { log_level: 'warn', concurrency: 2_000 } }) },
  })
  await once(child, 'message')
  const print = (measure: string, found: object): void => {
    const machine = { node: process.version, cpus: availableParallelism() }
    process.stdout.write(
      `${JSON.stringify({ bench: 'backfill', store: values.store, measure, ...found, ...machine })}\n`,
    )
  }
  const measured = meter()
  print('idle', meter()())
  let listed = 0
  for await (const _ of app.previewBackfill('minutes', { from: FROM, to: values.to })) listed += 1
  print('dry run', { windows: listed, ...measured() })
  const planning = meter()
  const made = await app.backfill('minutes', { from: FROM, to: values.to, parallel: Number(values.parallel) })
  print('create', { windows: (await made.status()).total, ...planning() })
  const { state, succeeded } = await made.wait()
  print('plan', { windows: succeeded, state, ...planning() })
  await app.cancel(held.id)
  child.disconnect()
  await once(child, 'exit')
  await app.stop()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
}

/** Seconds, seconds of CPU time and the largest resident set of this process from now on. */
function meter(): () => object {
  const began = performance.now()
  const cpu = process.cpuUsage()
  let peak = process.memoryUsage.rss()
  const timer = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 100).unref()
  return () => {
    timer.refresh()
    const { user, system } = process.cpuUsage(cpu)
    const rss = Math.max(peak, process.memoryUsage.rss())
    const seconds = (ms: number): number => Math.round(ms / 10) / 100
    return {
      seconds: seconds(performance.now() - began),
      cpuSeconds: seconds((user + system) / 1_000),
      rssMb: Math.round(rss / 1_048_576),
    }
  }
}

const executes = process.env[EXECUTES]
if (executes !== undefined && process.send) {
  const app = new Piko({ jobs: minutes, plan: false, settings: JSON.parse(executes) as object })
  await app.start()
  process.send('ready')
  await once(process, 'disconnect')
  await app.stop()
}
