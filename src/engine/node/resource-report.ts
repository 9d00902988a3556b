import type { ResourceStats } from '../../resource/resource-pool.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'

export interface ResourceReportParts extends LoopServiceParts {
  readonly nodes: Pick<NodeStore, 'saveResources'>
  readonly nodeId: () => string
  readonly stats: () => readonly ResourceStats[]
}

/** Figures that have changed are written at this interval. */
const INTERVAL_MS = 5_000

/** Stores the figures of this node's resources in its row, for requests on other nodes. Writes only what has changed. */
export class ResourceReport extends LoopService {
  readonly #report: ResourceReportParts
  #written = ''

  constructor(parts: ResourceReportParts) {
    super('resource-report', parts)
    this.#report = parts
  }

  protected async step(): Promise<number> {
    const { nodes, nodeId, stats } = this.#report
    const figures = stats()
    // All resources of the jobs are known from the start, so this does not change later.
    if (figures.length === 0) return Infinity
    const id = nodeId()
    const text = JSON.stringify([id, figures])
    if (text === this.#written) return INTERVAL_MS
    await nodes.saveResources(id, figures)
    this.#written = text
    return INTERVAL_MS
  }
}
