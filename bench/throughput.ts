/**
 * How many durable no-op runs one node processes in a second from a standing queue, and how many requests are stored in bulk:
 * `npm run bench -- throughput --store mysql --runs 20000 --repeat 5`. Beside it, alternating, what the database gives a bare
 * loop of the same statements without an engine. One JSON line a measurement.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { defineJob, Piko } from 'piko'
import { startMysqlServer } from '../test/support/mysql-server.ts'

type Store = 'mysql' | 'sqlite'

const BATCH = 1_000
const LANES = 2

export async function throughput(argv: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      store: { type: 'string', default: 'mysql' },
      runs: { type: 'string', default: '20000' },
      repeat: { type: 'string', default: '5' },
      concurrency: { type: 'string', default: '2000' },
    },
  })
  const store = values.store as Store
  if (store !== 'mysql' && store !== 'sqlite') throw new Error(`--store is "${values.store}"; expected mysql or sqlite`)
  const [runs, repeat, concurrency] = [values.runs, values.repeat, values.concurrency].map(Number) as [
    number,
    number,
    number,
  ]
  const server = store === 'mysql' ? await startMysqlServer() : undefined
  const rates: Record<string, number[]> = { enqueue: [], process: [], 'bare insert': [], 'bare loop': [] }
  try {
    for (let round = 0; round < repeat; round++) {
      if (server) await bare(server.dsn, runs, rates)
      await engine(server?.dsn, runs, concurrency, rates)
    }
  } finally {
    await server?.stop()
  }
  const machine = { node: process.version, cpus: availableParallelism() }
  for (const [measure, found] of Object.entries(rates)) {
    if (found.length === 0) continue
    const sorted = found.toSorted((a, b) => a - b).map(Math.round)
    const median = sorted[Math.floor(sorted.length / 2)]
    const line = {
      bench: 'throughput',
      store,
      measure,
      unit: 'runs/s',
      median,
      min: sorted[0],
      max: sorted.at(-1),
      runs,
      concurrency,
    }
    process.stdout.write(`${JSON.stringify({ ...line, rounds: sorted.length, ...machine })}\n`)
  }
}

async function engine(
  serverDsn: string | undefined,
  runs: number,
  concurrency: number,
  rates: Record<string, number[]>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-'))
  const database = serverDsn === undefined ? undefined : await freshDatabase(serverDsn)
  const settings = {
    piko: { log_level: 'silent', block_threshold: '0s', concurrency },
    ...(database === undefined ? { sqlite: { path: join(folder, 'piko.db') } } : { mysql: { dsn: database } }),
  }
  const noop = defineJob({ id: 'noop' }, () => {})
  const client = new Piko({ jobs: noop, execute: false, settings })
  await client.start()
  const items = Array.from({ length: runs }, () => ({}))
  const asked = performance.now()
  await client.enqueueMany('noop', items)
  rates['enqueue']?.push((runs / (performance.now() - asked)) * 1_000)
  await client.stop()

  const node = new Piko({ jobs: noop, settings })
  const done = Promise.withResolvers<void>()
  let settled = 0
  let began = 0
  node.events.on('run.started', () => (began ||= performance.now()))
  node.events.on('run.settled', () => ++settled === runs && done.resolve())
  await node.start()
  await done.promise
  rates['process']?.push((runs / (performance.now() - began)) * 1_000)
  await node.stop()
  rmSync(folder, { recursive: true, force: true })
}

async function freshDatabase(serverDsn: string): Promise<string> {
  const name = `piko_bench_${Math.random().toString(36).slice(2)}`
  const connection = await createConnection(serverDsn)
  await connection.query(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`)
  await connection.end()
  return `${serverDsn.replace(/\/$/, '')}/${name}`
}

/** What any engine on this server has to do at the least: insert, claim in batches, finish in batches, each durable. */
async function bare(serverDsn: string, runs: number, rates: Record<string, number[]>): Promise<void> {
  const uri = await freshDatabase(serverDsn)
  const first = await createConnection(uri)
  await first.query(
    `CREATE TABLE bare (id BIGINT NOT NULL AUTO_INCREMENT, state TINYINT NOT NULL, priority SMALLINT NOT NULL, run_at DATETIME(3) NOT NULL,
     node CHAR(36) NULL, PRIMARY KEY (id), KEY queue (state, priority, run_at, id)) ENGINE=InnoDB`,
  )
  const asked = performance.now()
  for (let from = 0; from < runs; from += BATCH) {
    const rows = Array.from({ length: Math.min(BATCH, runs - from) }, () => [0, 0, '2026-01-01 00:00:00'])
    await first.query('INSERT INTO bare (state, priority, run_at) VALUES ?', [rows])
  }
  rates['bare insert']?.push((runs / (performance.now() - asked)) * 1_000)
  const lanes = await Promise.all(Array.from({ length: LANES }, () => createConnection(uri)))
  const began = performance.now()
  await Promise.all(lanes.map(drain))
  rates['bare loop']?.push((runs / (performance.now() - began)) * 1_000)
  await Promise.all([first, ...lanes].map((connection) => connection.end()))
}

async function drain(connection: Connection): Promise<void> {
  const node = crypto.randomUUID()
  await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
  for (;;) {
    await connection.beginTransaction()
    const [rows] = await connection.query<RowDataPacket[]>(
      `SELECT id FROM bare WHERE state = 0 AND run_at <= NOW(3) ORDER BY priority, run_at, id LIMIT ${BATCH} FOR UPDATE SKIP LOCKED`,
    )
    const ids = rows.map((row) => row['id'] as number)
    if (ids.length > 0) await connection.query('UPDATE bare SET state = 1, node = ? WHERE id IN (?)', [node, ids])
    await connection.commit()
    if (ids.length === 0) return
    await connection.query('UPDATE bare SET state = 2 WHERE id IN (?) AND node = ? AND state = 1', [ids, node])
  }
}
