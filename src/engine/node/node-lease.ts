import { hostname } from 'node:os'
// Imports the timer function, because a test may replace the global one, and then the event loop would seem to be blocked.
import { setInterval } from 'node:timers'
import { PikoError } from '../../errors.ts'
import type { Settings } from '../../settings/settings.ts'
import type { StopReason } from '../../service/lifecycle-parts.ts'
import { Service } from '../../service/service.ts'
import type { OpenOptions } from '../../store/connection/database.ts'
import { type BlockPolicy, lookMs } from '../../store/nodes/block-watch.ts'
import { keepHeartbeat } from '../../store/nodes/heartbeats.ts'
import type { NodeFacts } from '../../store/nodes/node-facts.ts'
import type { JobDigests, NewNode, NodeStore } from '../../store/nodes/node-store.ts'
import type { OpenedFile } from '../../store/connection/sqlite/sqlite-files.ts'
import type { DatabaseTestClock } from '../../clock.ts'
import type { Events } from '../../events.ts'
import type { LeaseMemory } from './lease-memory.ts'
import type { LoopHealth } from '../loop/loop-health.ts'

export interface NodeLeaseParts {
  readonly nodes: NodeStore
  /** The options for the separate database connection of the lease. */
  readonly options: OpenOptions
  /** The database files that the store has open. */
  readonly files: () => readonly OpenedFile[]
  readonly memory: LeaseMemory
  /** What to do if the event loop of this process is blocked. */
  readonly block: BlockPolicy
  /** The addresses at which other nodes reach this one. */
  readonly addresses: () => Pick<NewNode, 'doorbell' | 'link' | 'linkKey'>
  /** Returns the facts that the node reports about itself. */
  readonly facts: () => NodeFacts
  /** Returns a digest of each of the node's jobs, for the node's row. */
  readonly digests: () => Promise<JobDigests>
  /** Called before the node gets its new id. It may be called more than once. */
  readonly onLost: (reason: PikoError) => void
  readonly leaseMs: Settings['piko']['leaseMs']
  readonly events: Events
  readonly loops: LoopHealth
  /** Set if a test moves the database's clock. Then this process itself renews the lease by that clock, without a thread. */
  readonly databaseClock: DatabaseTestClock | undefined
}

const REGISTER_AGAIN_MS = 200
/** 30 years, which is longer than any test. */
const TEST_TRUST_MS = 1e12

/**
 * This process's row and its lease. A separate thread renews the lease. If the lease is lost, the node gives up its claims and continues
 * under a new id. The old id is never used again, so claims under it can't store anything any more.
 */
export class NodeLease extends Service {
  // The ids of all nodes in this process; there may be several apps.
  static readonly #ownIds = new Set<string>()
  readonly #parts: NodeLeaseParts
  #id = crypto.randomUUID() as string
  #failures = 0

  /** Whether this id belongs to a node of this process. */
  static isOwn(nodeId: string): boolean {
    return NodeLease.#ownIds.has(nodeId)
  }

  constructor(parts: NodeLeaseParts) {
    super({ name: 'heartbeat' })
    this.#parts = parts
  }

  /** The id of the node: a UUID. After each lost lease, the node has a new one. */
  get nodeId(): string {
    return this.#id
  }

  /** The number of renewals that failed in a row; 0 if the last one succeeded. */
  get failures(): number {
    return this.#failures
  }

  protected override async onStart(): Promise<void> {
    if (!NodeLease.isOwn(this.#id)) await this.#register(this.#id)
    this.#beat()
    await this.#keep()
  }

  /** Deletes the row, except after a crash: the restarted service renews the lease, or the lease expires. */
  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') return
    NodeLease.#ownIds.delete(this.#id)
    await this.#parts.nodes.remove([this.#id], 'stopped')
  }

  #beat(): void {
    const { memory, block } = this.#parts
    memory.beat()
    if (block.maxMs === 0) return
    const timer = setInterval(() => memory.beat(), lookMs(block)).unref()
    this.defer(() => clearInterval(timer))
  }

  /** Resolves when the lease has been renewed once, or is lost. */
  #keep(): Promise<void> {
    const { databaseClock } = this.#parts
    return databaseClock ? this.#keepBy(databaseClock) : this.#keepByThread()
  }

  async #keepBy(clock: DatabaseTestClock): Promise<void> {
    const { nodes, leaseMs } = this.#parts
    const id = this.#id
    const renew = async (ms: number): Promise<void> => {
      if (this.#id !== id || !(this.isRunning || this.state === 'starting')) return
      if (await nodes.renewHeld(id, ms)) return
      if (!this.shouldStop) this.addTask(() => this.#replace(id, 'another node has removed its row'), 'replace')
    }
    clock.beforeJump((ms) => renew(leaseMs + ms))
    await renew(leaseMs)
    this.addTask(async (signal) => {
      while (!signal.aborted && this.#id === id) {
        await clock.sleep(leaseMs / 3, signal, this.name)
        if (!signal.aborted) await renew(leaseMs)
      }
    }, 'renew')
  }

  #keepByThread(): Promise<void> {
    const { nodes, options, files, memory, block, leaseMs, loops } = this.#parts
    const id = this.#id
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const crash = (error: Error): void => {
      reject(error)
      if (this.isRunning) this.crash(error)
    }
    const drop = keepHeartbeat(
      options,
      files(),
      { id, ...nodes.renewal(id, leaseMs), leaseMs, block, memory: memory.shared },
      {
        onRenewed: () => {
          if (this.#failures > 0) this.#recovered()
          resolve()
        },
        onFailed: (error, retryInMs, fault) => {
          this.#failures += 1
          loops.failed({ loop: this.name, thrown: error, retryInMs, fault, failures: this.#failures })
        },
        onLost: (why) => {
          resolve()
          if (!this.shouldStop) this.addTask(() => this.#replace(id, why), 'replace')
        },
        onGone: (error) => {
          this.#parts.onLost(
            new PikoError('LEASE_LOST', `node ${id} gave up its lease: ${error.message}`, { cause: error }),
          )
          crash(error)
        },
        onCrashed: crash,
      },
    )
    this.defer(drop)
    return promise
  }

  #recovered(): void {
    const failures = this.#failures
    this.#failures = 0
    this.#parts.loops.recovered(this.name, failures)
  }

  async #replace(lost: string, why: string): Promise<void> {
    const { nodes, onLost, events } = this.#parts
    const reason = new PikoError('LEASE_LOST', `node ${lost} lost its lease: ${why}`)
    onLost(reason)
    const id = crypto.randomUUID()
    if (!(await this.#registerUntilStopped(id))) return
    // Called a second time, because runs that were claimed after the first call also belong to the old row.
    onLost(reason)
    NodeLease.#ownIds.delete(lost)
    this.#id = id
    events.emit('node.lost', { nodeId: lost, newNodeId: id })
    // If only this node's connection has failed, other nodes can recover its runs immediately when its row is deleted.
    await nodes.remove([lost])
    await this.#keep()
  }

  /** Registers the node. Retries until the database answers, because the node can't continue without a row. */
  async #registerUntilStopped(id: string): Promise<boolean> {
    while (!this.shouldStop) {
      try {
        await this.#register(id)
        return true
      } catch (thrown) {
        this.#failures += 1
        const failures = this.#failures
        this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: REGISTER_AGAIN_MS, failures })
        await this.sleep(REGISTER_AGAIN_MS)
      }
    }
    return false
  }

  async #register(id: string): Promise<void> {
    NodeLease.#ownIds.add(id)
    const { nodes, memory, addresses, facts, leaseMs, digests } = this.#parts
    const row = { id, host: hostname(), pid: process.pid, ...addresses(), facts: facts(), digests: await digests() }
    await nodes.register(row, leaseMs)
    // With a test's clock, real time must not end the lease.
    memory.begin(this.#parts.databaseClock ? TEST_TRUST_MS : this.#parts.leaseMs)
  }
}
