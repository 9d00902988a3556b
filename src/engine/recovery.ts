import { hostname } from 'node:os'
import { type NodeRow, type NodeStore } from '../store/node-store.ts'
import { type RunStore } from '../store/run-store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { Loop } from './loop.ts'
import { NodeLease } from './node-lease.ts'

/** Gives the runs of nodes whose lease has run out back to the queue. Any node may do it; the fence keeps it exact. */
export class Recovery {
  readonly loop: Loop
  readonly #runs: RunStore
  readonly #nodes: NodeStore
  readonly #intervalMs: number
  readonly #events: Events
  readonly #onRecovered: () => void

  constructor(
    runs: RunStore,
    nodes: NodeStore,
    leaseMs: number,
    onRecovered: () => void,
    clock: Clock,
    events: Events,
  ) {
    this.#runs = runs
    this.#nodes = nodes
    this.#intervalMs = leaseMs / 3
    this.#onRecovered = onRecovered
    this.#events = events
    this.loop = new Loop('recovery', () => this.#step(), clock, events)
  }

  /**
   * For the embedded store, whose nodes all live on this machine: the row of a process that no longer exists is removed
   * at once instead of when its lease ends, so that a killed process is picked up again without a wait.
   */
  async removeDeadLocalNodes(): Promise<void> {
    const dead = (await this.#nodes.list()).filter((node) => node.host === hostname() && !isAlive(node))
    await this.#nodes.remove(dead.map((node) => node.id))
  }

  async runOnce(): Promise<number> {
    const expired = await this.#nodes.expired()
    const { count, nodeIds } = await this.#runs.recover()
    // After its runs: a node's row is what tells that they are orphans, until they are back in the queue.
    await this.#nodes.remove(expired.map((node) => node.id))
    if (count > 0) {
      this.#events.emit('runs.recovered', { count, nodeIds })
      this.#onRecovered()
    }
    return count
  }

  async #step(): Promise<number> {
    return (await this.runOnce()) > 0 ? 0 : this.#intervalMs
  }
}

function isAlive(node: NodeRow): boolean {
  // A row with this process's pid may be of an earlier process: in containers the pid is always 1.
  if (node.pid === process.pid) return NodeLease.isOwn(node.id)
  try {
    process.kill(node.pid, 0)
    return true
  } catch (error) {
    // EPERM: the process is there and belongs to somebody else.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
