import { hostname } from 'node:os'
import { PikoError } from '../errors.ts'
import { type NodeStore } from '../store/node-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { LoopService } from './loop-service.ts'

/**
 * This process's row and its lease. A node that finds its lease lost gives up what it has claimed and goes on as a new
 * node: the old id never comes back, so nothing that was claimed under it can be finished any more.
 */
export class NodeLease extends LoopService {
  // Of every app in this process.
  static readonly #ownIds = new Set<string>()
  readonly #nodes: NodeStore
  readonly #leaseMs: number
  readonly #events: Events
  readonly #onLost: (reason: PikoError) => void
  #id = crypto.randomUUID() as string

  /** Whether a node of this process has the id. */
  static isOwn(nodeId: string): boolean {
    return NodeLease.#ownIds.has(nodeId)
  }

  /** @param onLost called, more than once perhaps, before the node takes its new id */
  constructor(nodes: NodeStore, leaseMs: number, onLost: (reason: PikoError) => void, clock: Clock, events: Events) {
    super('heartbeat', clock, events)
    this.#nodes = nodes
    this.#leaseMs = leaseMs
    this.#onLost = onLost
    this.#events = events
  }

  /** A UUID per boot, and a new one after a lost lease. */
  get nodeId(): string {
    return this.#id
  }

  protected override async onStart(): Promise<void> {
    if (!NodeLease.isOwn(this.#id)) await this.#register(this.#id)
    await super.onStart()
  }

  /** After a crash the row stays: the lease is renewed when the service is back, or it ends by itself. */
  protected override async onStop(): Promise<void> {
    await super.onStop()
    if (this.crashReason) return
    NodeLease.#ownIds.delete(this.#id)
    await this.#nodes.remove([this.#id])
  }

  async #replace(): Promise<void> {
    const lost = this.#id
    const reason = new PikoError(
      'LEASE_LOST',
      `node ${lost} lost its lease: it was not renewed within ${this.#leaseMs} ms`,
    )
    this.#onLost(reason)
    const id = crypto.randomUUID()
    await this.#register(id)
    // What was claimed meanwhile hangs on the old row as well.
    this.#onLost(reason)
    NodeLease.#ownIds.delete(lost)
    this.#id = id
    this.#events.emit('node.lost', { nodeId: lost, newNodeId: id })
  }

  async #register(id: string): Promise<void> {
    NodeLease.#ownIds.add(id)
    await this.#nodes.register({ id, host: hostname(), pid: process.pid }, this.#leaseMs)
  }

  protected override async step(): Promise<number> {
    if (!(await this.#nodes.renew(this.#id, this.#leaseMs))) await this.#replace()
    return this.#leaseMs / 3
  }
}
