import { createConnection, type Connection, type RowDataPacket } from 'mysql2/promise'
import { createRequire } from 'node:module'
import type { About, Payload, System, SystemConfig, Witness } from '../harness/system.ts'

const T0 = '2026-01-01 00:00:00.000'
const INSERT = 'INSERT INTO bare_job (queue, status, priority, run_at, payload, created_at) VALUES '

/**
 * The minimum that any engine on this server must do, each step durable. Inserts 1,000 rows per statement, claims batches by `SELECT … FOR
 * UPDATE SKIP LOCKED` and an `UPDATE`, and finishes a batch by one `UPDATE`. Each lane has its own connection.
 */
export default function open(config: SystemConfig): System {
  return new BareMysql(config)
}

class BareMysql implements System {
  readonly tellsEnds = true
  readonly #dsn: string
  readonly #batch: number
  readonly #lanes: number
  readonly #connections: Connection[] = []
  #free: Connection[] = []
  #isWorking = false
  #asking: Connection | undefined

  constructor({ dsn, batch, lanes }: SystemConfig) {
    this.#dsn = dsn
    this.#batch = Number(batch)
    this.#lanes = Number(lanes)
  }

  async about(): Promise<About> {
    const [rows] = await (await this.#connect()).query<RowDataPacket[]>('SELECT VERSION() AS version')
    const { version } = createRequire(import.meta.url)('mysql2/package.json') as { version: string }
    return {
      versions: { package: version, server: String(rows[0]?.['version']) },
      settings: { batch: this.#batch, lanes: this.#lanes, isolation: 'READ COMMITTED' },
    }
  }

  async reset(): Promise<void> {
    await (
      await this.#connect()
    ).query(`CREATE TABLE bare_job (
      id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, queue VARCHAR(64) NOT NULL, status TINYINT NOT NULL DEFAULT 0,
      priority INT NOT NULL DEFAULT 0, run_at DATETIME(3) NOT NULL, attempts INT NOT NULL DEFAULT 0, payload TEXT NOT NULL,
      lock_token CHAR(36) CHARACTER SET ascii NULL, locked_until DATETIME(3) NULL, created_at DATETIME(3) NOT NULL,
      finished_at DATETIME(3) NULL,
      KEY ready (queue, status, priority, run_at, id), KEY token (lock_token)) ENGINE=InnoDB`)
  }

  async open(callers: number): Promise<void> {
    this.#free = await Promise.all(Array.from({ length: callers }, () => this.#connect()))
  }

  async enqueue(jobs: readonly Payload[]): Promise<void> {
    await this.#free[0]!.query(`${INSERT}?`, [jobs.map(row)])
  }

  /** A prepared statement, on a connection that no other caller uses. */
  async enqueueOne(job: Payload): Promise<void> {
    const connection = this.#free.pop()!
    await connection.execute(`${INSERT}(?, ?, ?, ?, ?, ?)`, row(job))
    this.#free.push(connection)
  }

  async work(witness: Witness): Promise<void> {
    const lanes = await Promise.all(Array.from({ length: this.#lanes }, () => this.#connect()))
    this.#isWorking = true
    void Promise.all(lanes.map((lane) => this.#drain(lane, witness))).then(() => (this.#isWorking = false))
  }

  async #drain(lane: Connection, { begun, ended }: Witness): Promise<void> {
    const token = crypto.randomUUID()
    await lane.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED')
    for (;;) {
      await lane.query('START TRANSACTION')
      const [rows] = await lane.execute<RowDataPacket[]>(
        `SELECT id, payload, attempts FROM bare_job WHERE queue = 'q' AND status = 0 AND run_at <= NOW(3)
         ORDER BY priority, run_at, id LIMIT ${this.#batch} FOR UPDATE SKIP LOCKED`,
      )
      const ids = rows.map((found) => Number(found['id']))
      if (ids.length > 0) {
        await lane.query(
          `UPDATE bare_job SET status = 1, lock_token = ?, locked_until = NOW(3) + INTERVAL 60 SECOND,
           attempts = attempts + 1 WHERE id IN (?)`,
          [token, ids],
        )
      }
      await lane.query('COMMIT')
      if (ids.length === 0) return
      for (const { payload } of rows) begun((JSON.parse(String(payload)) as Payload).id)
      await lane.query(
        `UPDATE bare_job SET status = 2, lock_token = NULL, locked_until = NULL, finished_at = NOW(3)
         WHERE id IN (?) AND status = 1 AND lock_token = ?`,
        [ids, token],
      )
      for (const id of ids) ended(id)
    }
  }

  /** Includes jobs that other processes have claimed. */
  async isPending(): Promise<boolean> {
    if (this.#isWorking) return true
    this.#asking ??= await this.#connect()
    const [rows] = await this.#asking.query<RowDataPacket[]>(
      `SELECT 1 FROM bare_job WHERE queue = 'q' AND status IN (0, 1) LIMIT 1`,
    )
    return rows.length > 0
  }

  async succeeded(): Promise<number> {
    const [rows] = await (
      await this.#connect()
    ).query<RowDataPacket[]>('SELECT COUNT(*) AS count FROM bare_job WHERE status = 2')
    return Number(rows[0]?.['count'])
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.end()))
  }

  async #connect(): Promise<Connection> {
    const connection = await createConnection(this.#dsn)
    this.#connections.push(connection)
    return connection
  }
}

function row(job: Payload): [string, number, number, string, string, string] {
  return ['q', 0, 0, T0, JSON.stringify(job), T0]
}
