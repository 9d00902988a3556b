import { hostname } from 'node:os'
import type { ResourceStatus } from '../store/nodes/node-store.ts'
import type { Reach } from './reach.ts'

/** `app.resources`: the resources that runs borrow. */
export class Resources {
  readonly #reach: () => Pick<Reach, 'store' | 'resources'>

  constructor(reach: () => Pick<Reach, 'store' | 'resources'>) {
    this.#reach = reach
  }

  /**
   * Lists the resources of every live node, with their size, the slots that runs hold, and the runs that are waiting. The figures of this
   * node are current; those of other nodes may be a few seconds old.
   */
  async list(): Promise<ResourceStatus[]> {
    const { store, resources } = this.#reach()
    const others = await store.nodes.resources()
    const nodeId = resources.nodeId()
    const own = resources.stats().map(({ size, ...figures }) => ({
      ...figures,
      size: size === Infinity ? null : size,
      nodeId,
      host: hostname(),
    }))
    return [...own, ...others.filter((status) => status.nodeId !== nodeId)]
  }
}
