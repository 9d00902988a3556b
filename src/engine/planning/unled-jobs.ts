import type { LockStore } from '../../store/nodes/lock-store.ts'
import type { NodeStore } from '../../store/nodes/node-store.ts'
import { LEADER_LOCK } from '../node/leader.ts'

export interface UnledJobsParts {
  readonly locks: Pick<LockStore, 'holder'>
  readonly nodes: Pick<NodeStore, 'jobsOf'>
}

/**
 * Finds the jobs that the leader's code does not know: during a deploy, or because several applications share a database. Another node must
 * then do for these jobs what usually only the leader does.
 */
export class UnledJobs {
  readonly #parts: UnledJobsParts
  /** The jobs of the last leader. A node's code does not change. */
  #known: { readonly nodeId: string; readonly jobIds: ReadonlySet<string> } | undefined

  constructor(parts: UnledJobsParts) {
    this.#parts = parts
  }

  /** Returns those of the jobs that the leader does not know. Returns none if there is no leader, or its jobs can't be read. */
  async among(jobIds: readonly string[]): Promise<string[]> {
    if (jobIds.length === 0) return []
    const { locks, nodes } = this.#parts
    const nodeId = (await locks.holder(LEADER_LOCK))?.owner
    if (nodeId === undefined) return []
    if (this.#known?.nodeId !== nodeId) {
      const known = await nodes.jobsOf(nodeId)
      this.#known = known && { nodeId, jobIds: known }
    }
    const known = this.#known?.jobIds
    return known ? jobIds.filter((jobId) => !known.has(jobId)) : []
  }
}
