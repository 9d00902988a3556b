import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { Piko } from 'piko'
import { CountingServer } from '../support/counting-server.ts'
import { type MysqlServer, startMysqlServer } from '../support/mysql-server.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { type Change, CHANGE_KINDS, type ChangeKind, PAST_MS, planChanges } from './changes.ts'
import { check, type Proof } from './checker.ts'
import { type Fault, FAULT_KINDS, type FaultKind, planFaults } from './faults.ts'
import { chaosJobs } from './jobs.ts'
import { NodeProcess } from './node-process.ts'
import { type Sabotage, SABOTAGES } from './sabotages.ts'
import { RATE_LIMIT, TARGET_TABLES } from './tables.ts'

export interface ChaosOptions {
  readonly minutes: number
  readonly seed: number
  /** Default 4. */
  readonly nodes?: number
  /** Removes one guarantee, to prove that the checker notices. */
  readonly sabotage?: Sabotage | undefined
  /** Receives a line for each thing that happens. */
  readonly tell?: (line: string) => void
}

export interface ChaosReport {
  readonly seed: number
  readonly faults: Readonly<Record<FaultKind, number>>
  /** Changes that the database acknowledged. */
  readonly changes: Readonly<Record<ChangeKind, number>>
  readonly proofs: readonly Proof[]
  readonly accepted: number
  /** Runs whose late writes were refused. */
  readonly lost: number
  /** Processes that ended without an order. */
  readonly crashes: number
  /** Time from the last fault (and the restart of killed nodes) until every run that existed by then had ended. */
  readonly settledMs: number
  /** The folder of the nodes' logs; removed after a run in which everything held. */
  readonly logs: string
}

const LEASE_MS = 2_000
const ENQUEUE_EVERY_MS = 150
/** Every this many rounds, one long run is requested. */
const LONG_EVERY = 12
/** Every this many rounds, more runs with a rate are requested than may begin in a second. */
const RATED_EVERY = 24
const RATED_AT_ONCE = RATE_LIMIT + 14
/**
 * No more runs of a job with a limit or a rate are requested while this many are open. During faults a slot stays taken
 * for a lease or two, and a backlog of minutes would outlast the last fault by far.
 */
const MAX_WAITING = 12
/**
 * Time beyond the two leases for the work and its backlog. About 3 s on an idle machine, ten times that on a busy one.
 */
const WORK_MS = 30_000
/**
 * Time for each crawl that is open after the last fault. One takes 3 to 4 s on a busy machine, and three run at once; a window of them
 * becomes due every 3 s, also while a fault lasts.
 */
const CRAWL_MS = 2_000
/** Generous for a busy machine; only a hang takes this long. */
const SETTLE_DEADLINE_MS = 300_000

/** Runs a cluster under the faults of the seed, and checks its database. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const server = await startMysqlServer()
  try {
    // Outlives the nodes that call it.
    await using called = await CountingServer.start()
    return await new Conductor(server, called, options).run()
  } finally {
    await server.stop()
  }
}

class Conductor {
  readonly #server: MysqlServer
  readonly #called: CountingServer
  readonly #options: ChaosOptions
  readonly #tell: (line: string) => void
  readonly #logs = mkdtempSync(join(tmpdir(), 'piko-chaos-'))
  readonly #nodes: { process: NodeProcess; proxy: TcpProxy }[] = []
  readonly #counts = Object.fromEntries(FAULT_KINDS.map((kind) => [kind, 0])) as Record<FaultKind, number>
  readonly #startedAtMs = Date.now()
  readonly #changes = Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, 0])) as Record<ChangeKind, number>
  #accepted = 0

  constructor(server: MysqlServer, called: CountingServer, options: ChaosOptions) {
    this.#server = server
    this.#called = called
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
      const lengthMs = minutes * 60_000
      const changed = this.#change(client, planChanges({ seed, lengthMs }))
      await this.#suffer(planFaults({ seed, nodes: count, lengthMs, leaseMs: LEASE_MS }))
      await changed
      producing.abort()
      await producer
      const { lastRunId, settledMs, openCrawls } = await this.#settle(pool)
      await Promise.all(this.#nodes.map(({ process }) => process.end('SIGTERM')))
      const proofs = [...(await this.#check(dsn, lastRunId)), inTime(settledMs, openCrawls)]
      const report = {
        seed,
        faults: this.#counts,
        changes: this.#changes,
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
      {
        dsn: url.href,
        leaseMs: LEASE_MS,
        windowsStart,
        commitsOutside: sabotage === 'commit-outside',
        everyMs: 1_000,
        port: this.#called.port,
      },
      {
        logFile: join(this.#logs, `node-${index}.log`),
        ...(sabotage && { preload: ['sabotage.ts'], env: { CHAOS_SABOTAGE: sabotage } }),
      },
    )
    this.#nodes.push({ process: node, proxy })
    node.start(0)
  }

  /** Requests runs all the time, and records as accepted what the database acknowledged. */
  async #produce(client: Piko, pool: Pool, signal: AbortSignal): Promise<void> {
    const mayAsk = async (jobId: string): Promise<boolean> => {
      const sql = `SELECT COUNT(*) AS open FROM piko_run WHERE job_id = ? AND state IN ('queued', 'running')`
      // While the database is away it accepts nothing anyway.
      const [[row]] = await pool.query<RowDataPacket[]>(sql, [jobId]).catch(() => [[{ open: Infinity }]])
      return Number(row?.['open']) < MAX_WAITING
    }
    for (let round = 0; !signal.aborted; round++) {
      const isRatedNext = round % RATED_EVERY === 0
      const jobIds = [
        ...['plain', 'plain', 'plain'],
        ...((await mayAsk('limited')) ? ['limited', 'limited'] : []),
        ...(round % LONG_EVERY === 0 ? ['long'] : []),
        ...(isRatedNext && (await mayAsk('rated')) ? Array.from({ length: RATED_AT_ONCE }, () => 'rated') : []),
      ]
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
      // Refused requests are fine: nothing was promised.
      await Promise.allSettled(asked)
      await sleep(ENQUEUE_EVERY_MS, undefined, { signal }).catch(() => {})
    }
  }

  async #suffer(faults: readonly Fault[]): Promise<void> {
    const startedAt = performance.now()
    const under = new Map<number | undefined, Promise<void>>()
    for (const fault of faults) {
      await sleep(Math.max(0, startedAt + fault.atMs - performance.now()))
      const where = fault.node === undefined ? '' : ` of node ${fault.node}`
      this.#tell(`${(fault.atMs / 1_000).toFixed(1)} s: ${fault.kind}${where} for ${fault.durationMs} ms`)
      this.#counts[fault.kind] += 1
      // A deploy may take longer than planned. Two simultaneous faults would start a node twice, or leave a process
      // paused for good.
      const before = under.get(fault.node)
      under.set(fault.node, before ? before.then(() => this.#inflict(fault)) : this.#inflict(fault))
    }
    await Promise.all(under.values())
  }

  async #change(client: Piko, changes: readonly Change[]): Promise<void> {
    const startedAt = performance.now()
    for (const change of changes) {
      await sleep(Math.max(0, startedAt + change.atMs - performance.now()))
      const told = `${(change.atMs / 1_000).toFixed(1)} s: ${change.kind}`
      try {
        await this.#changeTo(client, change)
        this.#changes[change.kind] += 1
        this.#tell(told)
      } catch (error) {
        // The database may be away, or the range may have no finished window. Nothing was promised.
        this.#tell(`${told} refused: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
  }

  async #changeTo(client: Piko, { kind, everyMs, fromMs, toMs, only, order }: Change): Promise<void> {
    const instant = (ms: number): string => new Date(this.#startedAtMs + ms).toISOString()
    switch (kind) {
      case 'override':
        return client.schedules.set('changing', { kind: 'every', everyMs, anchor: instant(-PAST_MS) })
      case 'clear':
        return client.schedules.clear('changing')
      case 'code':
        for (const { process } of this.#nodes) process.reschedule(everyMs)
        return
      case 'backfill':
        await client.backfills.create('changing', {
          from: instant(fromMs),
          to: instant(toMs),
          only,
          order,
          parallel: 8,
        })
    }
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
    // Swallowed bytes would never arrive; dropping the connection reports that once the network is back.
    if (kind === 'swallow') proxy.drop()
    proxy.heal()
  }

  /** Waits until every run and every backfill that exists now has ended. */
  async #settle(pool: Pool): Promise<{ lastRunId: number; settledMs: number; openCrawls: number }> {
    const faultAt = performance.now()
    // The machine decides how long a process takes to start, and how often it finds no database and restarts.
    while (performance.now() - faultAt < SETTLE_DEADLINE_MS && this.#nodes.some(({ process }) => !process.isStarted)) {
      await sleep(100)
    }
    const startedAt = performance.now()
    this.#tell(`all nodes have started ${Math.round(startedAt - faultAt)} ms after the last fault`)
    const read = async (sql: string, params: readonly number[] = []): Promise<number> => {
      const [rows] = await pool.query<RowDataPacket[]>(sql, [...params])
      return Number(rows[0]?.['value'] ?? 0)
    }
    const lastRunId = await read('SELECT MAX(id) AS value FROM piko_run')
    const open = `SELECT COUNT(*) AS value FROM piko_run WHERE id <= ? AND state IN ('queued', 'running')`
    const openCrawls = await read(`${open} AND job_id = 'crawled'`, [lastRunId])
    while (performance.now() - startedAt < SETTLE_DEADLINE_MS && (await read(open, [lastRunId])) > 0) await sleep(100)
    const settledMs = Math.round(performance.now() - startedAt)
    const filling = `SELECT COUNT(*) AS value FROM piko_backfill WHERE state NOT IN ('succeeded', 'failed', 'cancelled')`
    while (performance.now() - startedAt < SETTLE_DEADLINE_MS && (await read(filling)) > 0) await sleep(100)
    this.#tell(`settled in ${settledMs} ms, ${openCrawls} crawls were open`)
    return { lastRunId, settledMs, openCrawls }
  }

  async #check(dsn: string, lastRunId: number): Promise<Proof[]> {
    const connection = await createConnection({ uri: dsn, timezone: 'Z' })
    await this.#called.drain()
    const calls = this.#called.hits.map(({ text, since, at }) => [Number(text), since, at])
    if (calls.length > 0) await connection.query('INSERT INTO chaos_called (run_id, since_ms, at_ms) VALUES ?', [calls])
    const proofs = await check(connection, lastRunId)
    connection.destroy()
    return proofs
  }
}

function inTime(settledMs: number, openCrawls: number): Proof {
  const allowedMs = 2 * LEASE_MS + WORK_MS + openCrawls * CRAWL_MS
  return {
    claim: 'after the last fault every run ended within two leases and the time of the work',
    ok: settledMs <= allowedMs,
    found: `${settledMs} ms of ${allowedMs}, with ${openCrawls} open crawls`,
  }
}
