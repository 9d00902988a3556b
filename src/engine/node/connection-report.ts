import type { Database } from '../../store/connection/database.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface ConnectionReportParts extends LoopServiceParts {
  readonly nodes: Pick<NodeStore, 'saveConnections'>
  readonly database: Pick<Database, 'connectionIds' | 'onConnection'>
  readonly nodeId: () => string
}

/**
 * Stores the server's ids of this process's connections in the row of its node, whenever a connection is added. If the process is suspended
 * during a transaction, other nodes use these ids to end the transaction.
 */
export class ConnectionReport extends LoopService {
  readonly #report: ConnectionReportParts
  #nodeId = ''
  #written: ReadonlySet<number> = new Set()

  constructor(parts: ConnectionReportParts) {
    super('connection-report', parts)
    this.#report = parts
  }

  protected override onStart(): unknown {
    this.#report.database.onConnection = () => this.wake()
    return super.onStart()
  }

  protected override onStop(): unknown {
    this.#report.database.onConnection = () => {}
    return super.onStop()
  }

  protected async step(): Promise<number> {
    const { nodes, database, nodeId } = this.#report
    const id = nodeId()
    // Ids of closed connections may stay in the row. They have no effect, because the server no longer lists these connections.
    if (id === this.#nodeId && database.connectionIds().every((one) => this.#written.has(one))) return Infinity
    this.#written = new Set(await nodes.saveConnections(id))
    this.#nodeId = id
    return Infinity
  }
}
