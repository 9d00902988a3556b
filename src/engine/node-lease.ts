import { hostname } from 'node:os'
import { PikoError } from '../errors.ts'
import { type NodeStore } from '../store/node-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { Loop } from './loop.ts'

/**
 * This process's row and its lease. A node that finds its lease lost gives up what it has claimed and goes on as a new
 * node: the old id never comes back, so nothing that was claimed under it can be finished any more.
 */
export class NodeLease {
  readonly loop: Loop
  readonly #nodes: NodeStore
  readonly #leaseMs: number
  readonly #events: Events
  readonly #onLost: (reason: PikoError) => void
  #id = crypto.randomUUID() as string

  /** @param onLost called before the node takes its new id */
  constructor(nodes: NodeStore, leaseMs: number, onLost: (reason: PikoError) => void, clock: Clock, events: Events) {
    this.#nodes = nodes
    this.#leaseMs = leaseMs
    this.#onLost = onLost
    this.#events = events
    this.loop = new Loop('heartbeat', () => this.#step(), clock, events)
  }

  /** A UUID per boot, and a new one after a lost lease. */
  get id(): string {
    return this.#id
  }

  async start(): Promise<void> {
    await this.#register()
    this.loop.start()
  }

  async stop(): Promise<void> {
    await this.loop.stop()
    await this.#nodes.remove([this.#id])
  }

  async #register(): Promise<void> {
    await this.#nodes.register({ id: this.#id, host: hostname(), pid: process.pid }, this.#leaseMs)
  }

  async #step(): Promise<number> {
    if (!(await this.#nodes.renew(this.#id, this.#leaseMs))) {
      const lost = this.#id
      this.#onLost(
        new PikoError('LEASE_LOST', `node ${lost} lost its lease: it was not renewed within ${this.#leaseMs} ms`),
      )
      this.#id = crypto.randomUUID()
      await this.#register()
      this.#events.emit('node.lost', { nodeId: lost, newNodeId: this.#id })
    }
    return this.#leaseMs / 3
  }
}
