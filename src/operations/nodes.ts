import type { NodeStatus } from '../store/nodes/node-store.ts'
import type { Reach } from './reach.ts'

/** The processes that share the database: `app.nodes`. */
export class Nodes {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /**
   * Nodes that execute runs, oldest first, each with its lease on the database's clock. A node whose lease has expired is listed until
   * another node has taken over its runs.
   *
   * @throws PikoError `ROW_BROKEN`
   */
  async list(): Promise<NodeStatus[]> {
    return this.#reach().store.nodes.overview()
  }
}
