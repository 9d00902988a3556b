import type { DatabaseFault } from '../../sql/database-faults.ts'
import { type PikoError, toError } from '../../errors.ts'
import { type Guard, startGuard } from '../../guard-thread.ts'
import { databaseGone } from '../connection/sqlite/database-gone.ts'
import { DEFAULT_SQLITE_PATH, type OpenOptions } from '../connection/database.ts'
// `import type` is required: an inline `type` would leave an import statement without names, which would run the thread's code here.
import type { FromThread, Heartbeat, HeartbeatTarget, ToThread } from './heartbeat-thread.ts'
import { withMissingRight } from '../connection/mysql/missing-rights.ts'
import { connectionOptions } from '../connection/mysql/mysql-pool.ts'
import type { OpenedFile } from '../connection/sqlite/sqlite-files.ts'

export interface HeartbeatListener {
  onRenewed(): void
  onFailed(error: Error, retryInMs: number, fault: DatabaseFault | undefined): void
  /** Called when the lease is lost. After that, the lease is no longer renewed. */
  onLost(why: string): void
  /** Called when the database file is no longer at its path. After that the lease is no longer renewed. */
  onGone(error: PikoError): void
  /** Called when the thread has ended. After that the lease is no longer renewed. */
  onCrashed(error: Error): void
}

interface Kept {
  readonly listener: HeartbeatListener
  /** The name of the database on a MySQL server. */
  readonly database: string
}

/** Renews leases in the guard thread over separate connections, so a blocked event loop does not lose them. */
class HeartbeatThread {
  static #current: HeartbeatThread | undefined
  readonly #guard: Guard
  readonly #listeners = new Map<string, Kept>()
  // Nodes that are waiting for their first renewal. Until then they keep the process alive.
  readonly #unheard = new Set<string>()

  static get current(): HeartbeatThread {
    return (this.#current ??= new HeartbeatThread())
  }

  private constructor() {
    this.#guard = startGuard('heartbeat-thread', import.meta.url, undefined, (error) => this.#end(error))
    this.#guard.port.on('message', (message: FromThread) => this.#hear(message))
    this.#guard.port.unref()
  }

  keep(heartbeat: Heartbeat, listener: HeartbeatListener): () => void {
    const { target } = heartbeat
    this.#listeners.set(heartbeat.id, { listener, database: 'mysql' in target ? (target.mysql.database ?? '') : '' })
    this.#unheard.add(heartbeat.id)
    this.#guard.port.ref()
    this.#send({ kind: 'keep', heartbeat })
    return () => {
      this.#heard(heartbeat.id)
      // This message is also sent for a lost lease, because the thread still watches the event loop of that node.
      this.#send({ kind: 'drop', id: heartbeat.id })
      if (this.#listeners.delete(heartbeat.id)) this.#rest()
    }
  }

  #send(message: ToThread): void {
    this.#guard.port.postMessage(message)
  }

  #hear(message: FromThread): void {
    const known = this.#listeners.get(message.id)
    const listener = known?.listener
    if (message.kind !== 'failed') this.#heard(message.id)
    switch (message.kind) {
      case 'renewed':
        return listener?.onRenewed()
      case 'failed':
        return known?.listener.onFailed(failureOf(message, known.database), message.retryInMs, message.fault)
      case 'lost':
        this.#listeners.delete(message.id)
        this.#rest()
        return listener?.onLost(message.why)
      case 'gone':
        this.#listeners.delete(message.id)
        this.#rest()
        return listener?.onGone(databaseGone(message))
    }
  }

  #heard(id: string): void {
    if (this.#unheard.delete(id) && this.#unheard.size === 0) this.#guard.port.unref()
  }

  #rest(): void {
    if (this.#listeners.size > 0) return
    if (HeartbeatThread.#current === this) HeartbeatThread.#current = undefined
    this.#guard.end()
  }

  #end(error: Error): void {
    if (HeartbeatThread.#current === this) HeartbeatThread.#current = undefined
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    for (const { listener } of listeners) listener.onCrashed(error)
  }
}

/** Creates the error on this side, because an error that is sent between threads loses the server's error number. */
function failureOf({ message, errno }: Extract<FromThread, { kind: 'failed' }>, database: string): Error {
  const error = new Error(message)
  return toError(withMissingRight(errno === undefined ? error : Object.assign(error, { errno }), database))
}

/** Starts to renew a lease. Returns a function that stops the renewal. */
export function keepHeartbeat(
  options: OpenOptions,
  files: readonly OpenedFile[],
  heartbeat: Omit<Heartbeat, 'target'>,
  listener: HeartbeatListener,
): () => void {
  return HeartbeatThread.current.keep({ ...heartbeat, target: targetOf(options, files) }, listener)
}

function targetOf({ mysql, sqlitePath }: OpenOptions, files: readonly OpenedFile[]): HeartbeatTarget {
  if (mysql) return { mysql: connectionOptions(mysql) }
  return { sqlitePath: sqlitePath ?? DEFAULT_SQLITE_PATH, files }
}
