import type { Events } from '../../events.ts'
import type { Database } from '../../store/connection/database.ts'
import type { ConnectionQuery } from '../../store/connection/mysql/mysql-pool.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface ConnectionReportParts extends LoopServiceParts {
  readonly nodes: Pick<NodeStore, 'savedConnections'>
  readonly database: Pick<Database, 'connectionIds' | 'onConnection' | 'db' | 'retry'>
  readonly nodeId: () => string
  readonly events: Events
}

/**
 * Stores the server's ids of this process's connections in the row of its node. If the process is suspended during a transaction, other
 * nodes use these ids to end the transaction. So a new connection is used only after its id has been stored.
 */
export class ConnectionReport extends LoopService {
  readonly #report: ConnectionReportParts
  #nodeId = ''
  #written: ReadonlySet<number> = new Set()
  /** The last of the statements, which are executed one after another. Otherwise an earlier list could replace a later one. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: ConnectionReportParts) {
    super('connection-report', parts)
    this.#report = parts
  }

  protected override async onStart(): Promise<void> {
    this.#report.database.onConnection = (query) =>
      this.#save(query).catch((error: unknown) => {
        this.wake()
        throw error
      })
    this.defer(this.#report.events.on('node.lost', () => this.wake()))
    // The loop repeats it after a failure, and reports the failure.
    await this.step().catch(() => {})
    await super.onStart()
  }

  protected override onStop(): unknown {
    this.#report.database.onConnection = () => Promise.resolve()
    return super.onStop()
  }

  protected async step(): Promise<number> {
    const { db, retry } = this.#report.database
    if (!this.#isSaved())
      await retry(() =>
        db.connection().execute((connection) => this.#save((statement) => connection.executeQuery(statement))),
      )
    return Infinity
  }

  #save(query: ConnectionQuery): Promise<void> {
    const saved = this.#last.then(() => this.#saveNew(query))
    this.#last = saved.catch(() => {})
    return saved
  }

  async #saveNew(query: ConnectionQuery): Promise<void> {
    if (this.#isSaved()) return
    const { nodes, database, nodeId } = this.#report
    const id = nodeId()
    const ids = database.connectionIds()
    await query(nodes.savedConnections(id, ids))
    this.#written = new Set(ids)
    this.#nodeId = id
  }

  #isSaved(): boolean {
    const { database, nodeId } = this.#report
    const ids = database.connectionIds()
    // Ids of closed connections may stay in the row. They have no effect, because the server no longer lists these connections.
    return ids.length === 0 || (nodeId() === this.#nodeId && ids.every((one) => this.#written.has(one)))
  }
}
