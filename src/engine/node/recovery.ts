import { hostname } from 'node:os'
import { messageOf, propertyOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import type { LockStore } from '../../store/nodes/lock-store.ts'
import type { NodeRow, NodeStore } from '../../store/nodes/node-store.ts'
import type { RunStore } from '../../store/runs/run-store.ts'
import type { Events } from '../../events.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import { isPassing } from '../loop/retried.ts'
import { notGivenBack } from '../refused-runs.ts'
import type { NotGivenBack } from '../../store/runs/give-back.ts'
import { NodeLease } from './node-lease.ts'

/** How long to wait before retrying a run that the database refuses to return to the queue. */
const REPEAT_MS = 60_000
/** The maximum number of refused runs that this process remembers. */
const MAX_ASIDE = 10_000

export interface RecoveryParts extends LoopServiceParts {
  readonly runs: RunStore
  readonly nodes: NodeStore
  readonly locks: LockStore
  readonly nodeId: () => string
  /** The fences of the claims that this node holds. */
  readonly held: () => ReadonlySet<number>
  /** Called when runs are in the queue again. */
  readonly onRecovered: () => void
  readonly leaseMs: Settings['piko']['leaseMs']
  readonly lostAttempts: Settings['history']['lostAttempts']
  /** Whether the store is a file on this machine. */
  readonly isEmbedded: boolean
  readonly events: Events
}

/**
 * Puts runs that no node executes back into the queue. Every node does this for nodes whose lease has expired. Each node also does this for
 * claims under its own id that it does not know about: the database's answer to the claim was lost. The fence makes sure that only these
 * claims are returned.
 */
export class Recovery extends LoopService {
  readonly #parts: RecoveryParts
  readonly #intervalMs: number
  /** Runs that could not be returned to the queue. Each has a time until which it is skipped. */
  readonly #refused = new Map<number, number>()
  /**
   * The last orphan that was read; an orphan is a run of a dead node. Each call reads a limited number of orphans, and the next call
   * continues after this one. Otherwise the same runs that can't be returned to the queue would come first every time.
   */
  #after = 0
  #hasToldDenied = false

  constructor(parts: RecoveryParts) {
    super('recovery', parts)
    this.#parts = parts
    this.#intervalMs = parts.leaseMs / 3
  }

  /** Recovers the runs of a node that has just died, before this node begins to work. */
  protected override async onStart(): Promise<void> {
    if (this.#parts.isEmbedded) await this.#removeDeadLocalNodes()
    await this.#recoverOrphans()
    await super.onStart()
  }

  /**
   * Deletes the rows of processes that no longer exist, before their leases end, and releases their locks and leadership. So the runs of a
   * killed process continue immediately. Used with the embedded store, whose nodes all run on this machine.
   */
  async #removeDeadLocalNodes(): Promise<void> {
    const dead = (await this.#parts.nodes.list()).filter((node) => node.host === hostname() && !isAlive(node))
    const ids = dead.map((node) => node.id)
    await this.#parts.locks.releaseAll(ids)
    await this.#parts.nodes.remove(ids)
  }

  protected override async step(): Promise<number> {
    const { runs, nodeId, held, onRecovered } = this.#parts
    const given = await runs.recoverUnheld(nodeId(), held, this.#intervalMs, this.#aside())
    this.#setAside(given.refused)
    if (given.count > 0) onRecovered()
    await this.#recoverOrphans()
    // Continues immediately only if there are more runs. Otherwise a node that still claims after losing its lease would immediately get
    // the same runs again.
    return this.#after > 0 ? 0 : this.#intervalMs
  }

  /**
   * Returns the runs that the database has recently refused to put back into the queue. Retrying them every time would delay the others.
   */
  #aside(): ReadonlySet<number> {
    const now = this.#parts.clock.monotonic()
    for (const [runId, until] of this.#refused) if (until <= now) this.#refused.delete(runId)
    return new Set(this.#refused.keys())
  }

  #setAside(refused: readonly NotGivenBack[]): void {
    const { clock, events } = this.#parts
    for (const { runId } of refused) {
      this.#refused.set(runId, clock.monotonic() + REPEAT_MS)
      const [oldest] = this.#refused.keys()
      if (this.#refused.size > MAX_ASIDE && oldest !== undefined) this.#refused.delete(oldest)
    }
    const error = notGivenBack(refused)
    if (error) events.emit('loop.failed', { loop: this.name, error, retryInMs: REPEAT_MS })
  }

  /**
   * Ends the database connections of dead nodes, because their transactions hold locks. Returns the nodes whose connections are still in
   * use.
   */
  async #endConnections(nodeIds: readonly string[]): Promise<ReadonlySet<string>> {
    const { nodes, events } = this.#parts
    if (nodeIds.length === 0) return new Set()
    try {
      const ended = await nodes.endConnections(nodeIds)
      if (ended.count > 0) events.emit('connections.ended', { count: ended.count, nodeIds: ended.nodeIds })
      if (ended.denied !== undefined) this.#denied(ended.denied, nodeIds)
      return ended.busy
    } catch (error) {
      // If connections can't be ended, this must not delay the recovery of runs.
      if (isPassing(error)) throw error
      this.#denied(error, nodeIds)
      return new Set()
    }
  }

  #denied(error: unknown, nodeIds: readonly string[]): void {
    if (this.#hasToldDenied) return
    this.#hasToldDenied = true
    this.#parts.events.emit('connections.left', { nodeIds, error: notEnded(error, nodeIds) })
  }

  async #recoverOrphans(): Promise<void> {
    const { runs, nodes, events, onRecovered } = this.#parts
    // The node's own lease is left out: only the heartbeat decides whether it is lost. Until then, the node continues to claim and execute
    // runs.
    const ownId = this.#parts.nodeId()
    await nodes.shortenOdd()
    const expired = (await nodes.expired()).filter(({ id }) => id !== ownId)
    // This comes first, because a suspended node may hold locks on the rows that the next statements change.
    const busy = await this.#endConnections(expired.map((node) => node.id))
    const { count, nodeIds, refused, next } = await runs.recover(
      this.#parts.lostAttempts,
      ownId,
      this.#aside(),
      this.#after,
    )
    this.#after = next ?? 0
    this.#setAside(refused)
    // The row is deleted only after the runs are in the queue, because the row marks them as orphans and contains the ids of the node's
    // connections.
    await nodes.remove(expired.map((node) => node.id).filter((id) => !busy.has(id)))
    if (count > 0) {
      events.emit('runs.recovered', { count, nodeIds })
      onRecovered()
    }
  }
}

function notEnded(error: unknown, nodeIds: readonly string[]): PikoError {
  return new PikoError(
    'DATABASE_DENIED',
    `connections of nodes without a lease can't be ended, so the server may keep their locks for hours: ${messageOf(error)}; ` +
      'let all nodes use the same database user, or grant it the privilege CONNECTION_ADMIN (on MariaDB CONNECTION ADMIN), or end them by KILL',
    { cause: error, details: { nodeIds } },
  )
}

function isAlive(node: NodeRow): boolean {
  // A row with this process's pid may belong to an earlier process, because in containers the pid is always 1.
  if (node.pid === process.pid) return NodeLease.isOwn(node.id)
  try {
    process.kill(node.pid, 0)
    return true
  } catch (error) {
    // EPERM means that the process exists but belongs to another user.
    return propertyOf(error, 'code') === 'EPERM'
  }
}
