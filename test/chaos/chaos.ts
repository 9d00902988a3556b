import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { Piko } from 'piko'
import { type MysqlServer, startMysqlServer } from '../support/mysql-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { check, type Proof } from './checker.ts'
import { type Fault, FAULT_KINDS, type FaultKind, planFaults } from './faults.ts'
import { chaosJobs } from './jobs.ts'
import { NodeProcess } from './node-process.ts'
import { type Sabotage, SABOTAGES } from './sabotages.ts'
import { TARGET_TABLES } from './tables.ts'

export interface ChaosOptions {
  readonly minutes: number
  readonly seed: number
  /** Default 4. */
  readonly nodes?: number
  /** Takes one guarantee away, to see the checker find out. */
  readonly sabotage?: Sabotage | undefined
  /** Gets a line for each thing that happens. */
  readonly tell?: (line: string) => void
}

export interface ChaosReport {
  readonly seed: number
  readonly faults: Readonly<Record<FaultKind, number>>
  readonly proofs: readonly Proof[]
  readonly accepted: number
  /** Runs whose late writes were refused. */
  readonly lost: number
  /** Processes that ended without being told to. */
  readonly crashes: number
  /** From the last fault until every run that was there by then had ended. */
  readonly settledMs: number
  /** Where the nodes' logs are; removed after a run in which all held. */
  readonly logs: string
}

const LEASE_MS = 2_000
const ENQUEUE_EVERY_MS = 150
/** A long run is asked for in each so many rounds. */
const LONG_EVERY = 12
/** Beyond the two leases: the work itself, behind what had piled up. */
const WORK_MS = 10_000
const SETTLE_DEADLINE_MS = 90_000

/** Runs a cluster under the faults that the seed stands for, and has its database looked at. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const server = await startMysqlServer()
  try {
    return await new Conductor(server, options).run()
  } finally {
    await server.stop()
  }
}

class Conductor {
  readonly #server: MysqlServer
  readonly #options: ChaosOptions
  readonly #tell: (line: string) => void
  readonly #logs = mkdtempSync(join(tmpdir(), 'piko-chaos-'))
  readonly #nodes: { process: NodeProcess; proxy: TcpProxy }[] = []
  readonly #counts = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>
  #accepted = 0

  constructor(server: MysqlServer, options: ChaosOptions) {
    this.#server = server
    this.#options = options
    this.#tell = options.tell ?? (() => {})
  }

  async run(): Promise<ChaosReport> {
    const { minutes, seed, nodes: count = 4 } = this.#options
    const dsn = await this.#database()
    const pool = createPool({ uri: dsn, timezone: 'Z', connectionLimit: 5 })
    const windowsStart = new Date(Math.floor(Date.now() / 1_000) * 1_000 - 10_000).toISOString()
    const client = new Piko({
      jobs: chaosJobs({ pool, windowsStart }),
      settings: { piko: { log_level: 'silent' }, mysql: { dsn } },
      execute: false,
    })
    await client.start()
    await this.#sabotageTables(pool)
    const producing = new AbortController()
    try {
      for (let index = 0; index < count; index++) await this.#startNode(dsn, windowsStart, index)
      const producer = this.#produce(client, pool, producing.signal)
      await this.#suffer(planFaults({ seed, nodes: count, lengthMs: minutes * 60_000, leaseMs: LEASE_MS }))
      producing.abort()
      await producer
      const { lastRunId, settledMs } = await this.#settle(pool)
      await Promise.all(this.#nodes.map(({ process }) => process.end('SIGTERM')))
      const proofs = [...(await this.#check(dsn, lastRunId)), inTime(settledMs)]
      const report = {
        seed,
        faults: this.#counts,
        proofs,
        accepted: this.#accepted,
        lost: this.#nodes.reduce((sum, { process }) => sum + process.lost, 0),
        crashes: this.#nodes.reduce((sum, { process }) => sum + process.crashes, 0),
        settledMs,
        logs: this.#logs,
      }
      if (proofs.every(({ ok }) => ok)) rmSync(this.#logs, { recursive: true, force: true })
      return report
    } finally {
      producing.abort()
      for (const { process, proxy } of this.#nodes) {
        await process.end('SIGKILL')
        await proxy.stop()
      }
      await client.stop()
      await pool.end()
    }
  }

  async #database(): Promise<string> {
    const connection = await createConnection(this.#server.dsn)
    await connection.query('CREATE DATABASE piko_chaos CHARACTER SET utf8mb4')
    await connection.query('USE piko_chaos')
    for (const table of TARGET_TABLES) await connection.query(table)
    await connection.end()
    return `${this.#server.dsn.replace(/\/$/, '')}/piko_chaos`
  }

  async #sabotageTables(pool: Pool): Promise<void> {
    const { sabotage } = this.#options
    for (const statement of sabotage ? SABOTAGES[sabotage].statements : []) await pool.query(statement)
  }

  async #startNode(dsn: string, windowsStart: string, index: number): Promise<void> {
    const { sabotage } = this.#options
    const url = new URL(dsn)
    const proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) })
    url.port = String(proxy.port)
    const node = new NodeProcess(
      { dsn: url.href, leaseMs: LEASE_MS, windowsStart, commitsOutside: sabotage === 'commit-outside' },
      {
        logFile: join(this.#logs, `node-${index}.log`),
        ...(sabotage && { preload: ['sabotage.ts'], env: { CHAOS_SABOTAGE: sabotage } }),
      },
    )
    this.#nodes.push({ process: node, proxy })
    node.start(0)
  }

  /** Asks for runs all the time. What the database acknowledged is written down as accepted. */
  async #produce(client: Piko, pool: Pool, signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round++) {
      const jobIds = ['plain', 'plain', 'plain', 'limited', 'limited', ...(round % LONG_EVERY === 0 ? ['long'] : [])]
      const asked = jobIds.map(async (jobId) => {
        const { id } = await client.run(jobId)
        for (;;) {
          try {
            await pool.query('INSERT INTO chaos_accepted (run_id) VALUES (?)', [id])
            this.#accepted += 1
            return
          } catch {
            await sleep(200)
          }
        }
      })
      // Refused requests were not accepted: nobody promised anything.
      await Promise.allSettled(asked)
      await sleep(ENQUEUE_EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #suffer(faults: readonly Fault[]): Promise<void> {
    const startedAt = performance.now()
    const under: Promise<void>[] = []
    for (const fault of faults) {
      await sleep(Math.max(0, startedAt + fault.atMs - performance.now()))
      const where = fault.node === undefined ? '' : ` of node ${fault.node}`
      this.#tell(`${(fault.atMs / 1_000).toFixed(1)} s: ${fault.kind}${where} for ${fault.durationMs} ms`)
      this.#counts[fault.kind] += 1
      under.push(this.#inflict(fault))
    }
    await Promise.all(under)
  }

  async #inflict({ kind, node, durationMs, skewMs }: Fault): Promise<void> {
    if (node === undefined) {
      await this.#server.kill()
      await sleep(durationMs)
      return this.#server.restart()
    }
    const { process, proxy } = this.#nodes[node]!
    switch (kind) {
      case 'kill':
      case 'deploy':
        await process.end(kind === 'kill' ? 'SIGKILL' : 'SIGTERM')
        if (kind === 'kill') await sleep(durationMs)
        return process.start(skewMs)
      case 'freeze':
        process.signal('SIGSTOP')
        await sleep(durationMs)
        return process.signal('SIGCONT')
      case 'delay':
        proxy.delay(100 + (durationMs % 400))
        break
      case 'cut':
        proxy.cut()
        break
      case 'halfClose':
        proxy.halfClose()
        break
      case 'swallow':
        proxy.swallowAnswers()
        break
      case 'database':
        break
    }
    await sleep(durationMs)
    // What was swallowed would never come: the network tells so when it is back.
    if (kind === 'swallow') proxy.drop()
    proxy.heal()
  }

  /** Waits until every run that is there now has ended. */
  async #settle(pool: Pool): Promise<{ lastRunId: number; settledMs: number }> {
    const startedAt = performance.now()
    const read = async (sql: string, params: readonly number[] = []): Promise<number> => {
      const [rows] = await pool.query<RowDataPacket[]>(sql, [...params])
      return Number(rows[0]?.['value'] ?? 0)
    }
    const lastRunId = await read('SELECT MAX(id) AS value FROM piko_run')
    const open = `SELECT COUNT(*) AS value FROM piko_run WHERE id <= ? AND state IN ('queued', 'running')`
    while (performance.now() - startedAt < SETTLE_DEADLINE_MS && (await read(open, [lastRunId])) > 0) await sleep(100)
    const settledMs = Math.round(performance.now() - startedAt)
    this.#tell(`settled in ${settledMs} ms`)
    return { lastRunId, settledMs }
  }

  async #check(dsn: string, lastRunId: number): Promise<Proof[]> {
    const connection = await createConnection({ uri: dsn, timezone: 'Z' })
    const proofs = await check(connection, lastRunId)
    connection.destroy()
    return proofs
  }
}

function inTime(settledMs: number): Proof {
  return {
    claim: 'after the last fault every run ended within two leases and the time of the work',
    ok: settledMs <= 2 * LEASE_MS + WORK_MS,
    found: `${settledMs} ms of ${2 * LEASE_MS + WORK_MS}`,
  }
}
