// Runs in the guard thread, started by heartbeats.ts. Node strips the types, so this file may import only modules whose types can be
// stripped.
import type { MessagePort } from 'node:worker_threads'
import type { Connection, ConnectionOptions } from 'mysql2/promise'
import { databaseFault, type DatabaseFault } from '../../sql/database-faults.ts'
import { systemClock } from '../../clock.ts'
import { type BlockPolicy, BlockWatch } from './block-watch.ts'
import { DEADLINE, type HeartbeatMemory, TRUSTED_UNTIL } from './heartbeat-memory.ts'
import { MYSQL_SESSION } from '../connection/mysql/mysql-session.ts'
import { nodeSqlite } from '../../sql/node-sqlite.ts'
import { lostFile, type OpenedFile } from '../connection/sqlite/sqlite-files.ts'
import { withPeerName } from '../../sql/tls-stream.ts'

/** The database that stores the lease. */
export type HeartbeatTarget =
  | { readonly mysql: ConnectionOptions }
  /** `files`: the files to which the path led when the store was opened. */
  | { readonly sqlitePath: string; readonly files: readonly OpenedFile[] }

export interface Heartbeat {
  readonly id: string
  readonly target: HeartbeatTarget
  /** The statement that renews the lease. It changes one row, or none if the lease is lost. */
  readonly sql: string
  readonly parameters: readonly (string | number)[]
  readonly leaseMs: number
  readonly block: BlockPolicy
  readonly memory: HeartbeatMemory
}

export type ToThread =
  | { readonly kind: 'keep'; readonly heartbeat: Heartbeat }
  | { readonly kind: 'drop'; readonly id: string }

export type FromThread = { readonly id: string } & (
  | { readonly kind: 'renewed' }
  | {
      readonly kind: 'failed'
      readonly message: string
      /** The server's error number. */
      readonly errno: number | undefined
      readonly retryInMs: number
      readonly fault: DatabaseFault | undefined
    }
  | { readonly kind: 'lost'; readonly why: string }
  /** The database's file is no longer at its path, so everything written would be lost. */
  | { readonly kind: 'gone'; readonly path: string; readonly how: string }
)

const FIRST_RETRY_MS = 100
/** How long SQLite itself waits for a lock, in milliseconds. This wait blocks the thread. */
const BUSY_TIMEOUT_MS = 20
/** The longest pause before SQLite is asked again for a lock, in milliseconds. */
const LOCKED_PAUSE_MS = 40

type CreateConnection = (options: ConnectionOptions) => Promise<Connection>

/** Renews leases over one connection. The connection is opened when needed, and opened again after any failure. */
interface Renewer {
  /**
   * Renews the lease of a node. Returns false if the lease is lost.
   *
   * @param given aborts when the node must give up the lease, or no longer needs it
   */
  renew(heartbeat: Heartbeat, given: AbortSignal): Promise<boolean>
  close(): void
}

class MysqlRenewer implements Renewer {
  readonly #options: ConnectionOptions
  readonly #createConnection: CreateConnection
  #connection: Connection | undefined

  /** Loads the driver only when needed, because loading it costs more than the rest of the thread. */
  static async load(options: ConnectionOptions): Promise<MysqlRenewer> {
    const { createConnection } = await import('mysql2/promise')
    return new MysqlRenewer(options, createConnection)
  }

  private constructor(options: ConnectionOptions, createConnection: CreateConnection) {
    this.#options = options
    this.#createConnection = createConnection
  }

  async renew({ sql, parameters, leaseMs }: Heartbeat): Promise<boolean> {
    // After this time, another try can still be made before the lease ends.
    const timeout = Math.ceil(leaseMs / 3)
    try {
      const connection = (this.#connection ??= await this.#connect(timeout))
      const [result] = await connection.query({ sql, values: [...parameters], timeout })
      return (result as { affectedRows: number }).affectedRows > 0
    } catch (error) {
      this.close()
      throw error
    }
  }

  close(): void {
    this.#connection?.destroy()
    this.#connection = undefined
  }

  async #connect(timeout: number): Promise<Connection> {
    const connectTimeout = Math.min(timeout, this.#options.connectTimeout ?? timeout)
    const connection = await this.#createConnection(withPeerName({ ...this.#options, connectTimeout }))
    // Without a listener, an error between two statements would crash the process.
    connection.on('error', () => this.close())
    try {
      for (const sql of MYSQL_SESSION) await connection.query({ sql, timeout })
    } catch (error) {
      connection.destroy()
      throw error
    }
    return connection
  }
}

class SqliteRenewer implements Renewer {
  readonly #path: string
  #database: InstanceType<ReturnType<typeof nodeSqlite>['DatabaseSync']> | undefined

  constructor(path: string) {
    this.#path = path
  }

  /** Waits for a lock without blocking the thread for long, because the thread also serves other nodes of the process. */
  async renew(heartbeat: Heartbeat, given: AbortSignal): Promise<boolean> {
    const until = performance.now() + heartbeat.leaseMs / 3
    for (;;) {
      try {
        return this.#renewNow(heartbeat)
      } catch (error) {
        if (given.aborted || databaseFault(error) !== 'contention' || performance.now() >= until) {
          this.close()
          throw error
        }
        await systemClock.sleep(LOCKED_PAUSE_MS * (0.5 + Math.random() / 2), given)
      }
    }
  }

  #renewNow({ sql, parameters }: Heartbeat): boolean {
    this.#database ??= new (nodeSqlite().DatabaseSync)(this.#path)
    this.#database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`)
    return Number(this.#database.prepare(sql).run(...parameters).changes) > 0
  }

  close(): void {
    this.#database?.close()
    this.#database = undefined
  }
}

/** Renews a lease until it is dropped or lost. */
async function keep(
  heartbeat: Heartbeat,
  watch: BlockWatch,
  dropped: AbortSignal,
  tell: (message: FromThread) => void,
): Promise<void> {
  const { id, target, leaseMs, memory } = heartbeat
  const woken = AbortSignal.any([dropped, watch.given])
  const renewer = 'mysql' in target ? await MysqlRenewer.load(target.mysql) : new SqliteRenewer(target.sqlitePath)
  const giveUp = (message: FromThread): void => {
    Atomics.store(memory, TRUSTED_UNTIL, 0n)
    tell(message)
  }
  const lose = (why: string): void => giveUp({ id, kind: 'lost', why })
  let failures = 0
  try {
    while (!dropped.aborted) {
      if (watch.given.aborted) return lose('the event loop was blocked for longer than [piko] max_block')
      if (isOverdue(memory)) return lose('a run is past its timeout and the event loop is blocked')
      // The files are checked first, because opening a connection would create a new file.
      const gone = 'mysql' in target ? undefined : lostFile(target.files)
      if (gone) return giveUp({ id, kind: 'gone', ...gone })
      const sentAt = process.hrtime.bigint()
      try {
        if (!(await renewer.renew(heartbeat, woken))) return lose(`it was not renewed within ${leaseMs} ms`)
        Atomics.store(memory, TRUSTED_UNTIL, sentAt + BigInt(leaseMs) * 1_000_000n)
        failures = 0
        tell({ id, kind: 'renewed' })
        await systemClock.sleep(leaseMs / 3, woken)
      } catch (error) {
        const retryInMs = Math.min(leaseMs / 10, FIRST_RETRY_MS * 2 ** failures++)
        if (dropped.aborted) return
        const message = error instanceof Error ? error.message : String(error)
        // An unknown error counts as an outage. The driver reports a late answer with such an error.
        const fault = databaseFault(error) ?? 'outage'
        const isOver = process.hrtime.bigint() >= Atomics.load(memory, TRUSTED_UNTIL)
        if (isOver && fault === 'outage') return lose(`the database did not answer for ${leaseMs} ms`)
        tell({ id, kind: 'failed', message, errno: errnoOf(error), retryInMs, fault })
        if (isOver) return lose(`the database refused its renewal for ${leaseMs} ms: ${message}`)
        await systemClock.sleep(retryInMs, woken)
      }
    }
  } finally {
    renewer.close()
    watch.leave()
  }
}

function errnoOf(error: unknown): number | undefined {
  const errno = error instanceof Error && 'errno' in error ? error.errno : undefined
  return typeof errno === 'number' ? errno : undefined
}

function isOverdue(memory: HeartbeatMemory): boolean {
  const at = Atomics.load(memory, DEADLINE)
  return at !== 0n && process.hrtime.bigint() > at
}

/** A node whose lease is being renewed, or was renewed until it was lost. */
interface Kept {
  /** The watch continues after the loss of the lease, because the event loop may stay blocked forever. */
  readonly watch: BlockWatch
  readonly dropped: AbortController
}

/** Renews the leases of the nodes for which the port asks, until the port is closed. */
export function guard(port: MessagePort): void {
  const nodes = new Map<string, Kept>()
  const tell = (message: FromThread): void => port.postMessage(message)
  port.on('message', (message: ToThread) => {
    if (message.kind === 'drop') return drop(message.id)
    const { heartbeat } = message
    const dropped = new AbortController()
    const watch = new BlockWatch(heartbeat.id, heartbeat.memory, heartbeat.block)
    nodes.set(heartbeat.id, { watch, dropped })
    void keep(heartbeat, watch, dropped.signal, tell)
  })
  port.on('close', () => [...nodes.keys()].forEach(drop))

  // A node that is stopping no longer reports that its event loop runs, so its watch would end the process.
  function drop(id: string): void {
    nodes.get(id)?.watch.close()
    nodes.get(id)?.dropped.abort()
    nodes.delete(id)
  }
}
