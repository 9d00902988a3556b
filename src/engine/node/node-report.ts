import type { ResourceStats } from '../../resource/resource-pool.ts'
import type { NodeFacts } from '../../store/nodes/node-facts.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface NodeReportParts extends LoopServiceParts {
  readonly nodes: Pick<NodeStore, 'saveReport'>
  readonly nodeId: () => string
  readonly stats: () => readonly ResourceStats[]
  readonly facts: () => NodeFacts
}

/** How often changed facts are written. */
const INTERVAL_MS = 5_000

/**
 * Stores facts about this process and figures of its resources in its node's row, so that other nodes can show them. Writes only changes.
 */
export class NodeReport extends LoopService {
  readonly #report: NodeReportParts
  #written = ''

  constructor(parts: NodeReportParts) {
    super('node-report', parts)
    this.#report = parts
  }

  protected async step(): Promise<number> {
    const { nodes, nodeId, stats, facts } = this.#report
    const id = nodeId()
    const report = { resources: stats(), facts: facts() }
    const text = JSON.stringify([id, report])
    if (text === this.#written) return INTERVAL_MS
    await nodes.saveReport(id, report)
    this.#written = text
    return INTERVAL_MS
  }
}
