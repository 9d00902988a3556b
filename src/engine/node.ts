import { PikoError } from '../errors.ts'
import { type Logger } from '../job/context.ts'
import { type JobRegistry } from '../job/registry.ts'
import { type Claim } from '../job/run.ts'
import { type ResourcePool } from '../resource/resource-pool.ts'
import { ExitStack } from '../service/exit-stack.ts'
import { type SinkPool } from '../sink/sink-pool.ts'
import { type Store } from '../store/store.ts'
import { type Events } from '../telemetry/events.ts'
import { type Clock } from './clock.ts'
import { Completer } from './completer.ts'
import { Dispatcher } from './dispatcher.ts'
import { Executor } from './executor.ts'
import { Leader } from './leader.ts'
import { type Loop } from './loop.ts'
import { NodeLease } from './node-lease.ts'
import { registrationOf } from './plan-job.ts'
import { Planner } from './planner.ts'
import { Recovery } from './recovery.ts'
import { RunWaiter } from './run-waiter.ts'

export interface NodeParts {
  readonly store: Store
  readonly registry: JobRegistry
  readonly resources: ResourcePool
  readonly sinks: SinkPool
  readonly events: Events
  readonly clock: Clock
  readonly runLog: (claim: Claim) => Logger
}

export interface NodeOptions {
  readonly slots: number
  readonly pollMs: number
  readonly leaseMs: number
  readonly shutdownTimeoutMs: number
  readonly plan: boolean
  readonly execute: boolean
  readonly onlyRegistered: boolean
  /** See {@link ExecutorParts.graceMs}. Default 5,000. */
  readonly graceMs?: number | undefined
}

const GRACE_MS = 5_000

/** Of the shutdown timeout this share is left for handlers that end on their signal, and for writing their ends. */
const GIVE_BACK_SHARE = 0.2

/** This process's part in the work: composes lease, leader, planner, dispatcher and recovery. */
export class Node {
  readonly waiter: RunWaiter
  readonly #parts: NodeParts
  readonly #options: NodeOptions
  readonly #lease: NodeLease
  readonly #leader: Leader
  readonly #planner: Planner
  readonly #dispatcher: Dispatcher
  readonly #recovery: Recovery
  readonly #completer: Completer
  readonly #executor: Executor
  #isStarted = false

  constructor(parts: NodeParts, options: NodeOptions) {
    const { store, registry, events, clock } = parts
    const { leaseMs, pollMs, slots, onlyRegistered } = options
    this.#parts = parts
    this.#options = options
    this.#completer = new Completer(store.runs, events)
    const nodeId = (): string => this.#lease.id
    this.#executor = new Executor({
      ...parts,
      sql: store.database.sql,
      completer: this.#completer,
      nodeId,
      random: Math.random,
      graceMs: options.graceMs ?? GRACE_MS,
    })
    this.#lease = new NodeLease(store.nodes, leaseMs, (reason) => this.#executor.abortAll(reason), clock, events)
    this.#leader = new Leader(store.locks, this.#lease.id, leaseMs, clock, events)
    this.#dispatcher = new Dispatcher(
      { runs: store.runs, registry, clock, events, nodeId },
      { slots, pollMs, onlyRegistered },
      (claim, claimedBy) => this.#executor.execute(claim, claimedBy),
    )
    this.#planner = new Planner({ jobs: store.jobs, registry, leader: this.#leader, clock, events }, pollMs, (runAts) =>
      this.expect(runAts),
    )
    this.#recovery = new Recovery(store.runs, store.nodes, leaseMs, () => this.#dispatcher.wake(), clock, events)
    this.waiter = new RunWaiter(store.runs, pollMs, clock, events)
    events.on('run.settled', ({ retryInMs }) => {
      if (retryInMs !== undefined) this.expect([new Date(clock.now() + retryInMs)])
    })
  }

  /** Runs under way. */
  get active(): number {
    return this.#dispatcher.active
  }

  get slots(): number {
    return this.#options.execute ? this.#options.slots : 0
  }

  async start(): Promise<void> {
    const { store, registry, clock, events } = this.#parts
    this.waiter.loop.start()
    if (!this.#options.execute) return
    const now = new Date(clock.now())
    await store.jobs.register([...registry].map((job) => registrationOf(job, now)))
    if (store.database.dialect.name === 'sqlite') await this.#recovery.removeDeadLocalNodes()
    await this.#lease.start()
    this.#isStarted = true
    await this.#recovery.runOnce()
    this.#recovery.loop.start()
    if (this.#options.plan) {
      await this.#leader.start()
      this.#planner.loop.start()
    }
    this.#dispatcher.loop.start()
    events.emit('node.started', { nodeId: this.#lease.id, jobs: registry.size })
  }

  /** Runs become due at these times. */
  expect(runAts: readonly Date[]): void {
    this.#dispatcher.expect(runAts)
  }

  /** Every part is stopped, also when the database does not answer: what fails then is thrown at the end. */
  async stop(): Promise<void> {
    const { plan } = this.#options
    const parts = new ExitStack()
    // The last one is stopped first.
    if (this.#isStarted) {
      parts.defer(() => this.#parts.events.emit('node.stopped', { nodeId: this.#lease.id }))
      parts.defer(() => this.#lease.stop())
    }
    parts.defer(() => this.#recovery.loop.stop())
    parts.defer(() => this.waiter.stop())
    if (this.#isStarted) parts.defer(() => this.#drain())
    // Before the runs have ended: another node is to plan meanwhile.
    if (this.#isStarted && plan) parts.defer(() => this.#leader.stop())
    parts.defer(() => this.#planner.loop.stop())
    parts.defer(() => this.#dispatcher.stop())
    await parts.close()
  }

  async #drain(): Promise<void> {
    const { shutdownTimeoutMs } = this.#options
    const idle = this.#dispatcher.idle()
    const giveBackMs = shutdownTimeoutMs * GIVE_BACK_SHARE
    await Promise.race([idle, this.#after(shutdownTimeoutMs - giveBackMs, idle)])
    if (this.#dispatcher.active === 0) return
    this.#executor.abortAll(
      new PikoError('STOPPED', 'this node stops; the run goes back to the queue and is not counted'),
    )
    await Promise.race([idle, this.#after(giveBackMs, idle)])
    this.#completer.abandon()
  }

  /** Sleeps `ms` at most, and leaves no timer behind when `other` resolves first. */
  async #after(ms: number, other: Promise<void>): Promise<void> {
    const stop = new AbortController()
    void other.then(() => stop.abort())
    await this.#parts.clock.sleep(ms, stop.signal)
  }

  /** Readiness by part. */
  checks(): Record<string, { ok: boolean; message?: string }> {
    const loops: Loop[] = this.#options.execute ? [this.#lease.loop, this.#recovery.loop, this.#dispatcher.loop] : []
    if (this.#options.plan && this.#options.execute) loops.push(this.#leader.loop, this.#planner.loop)
    return Object.fromEntries(
      loops.map((loop) => {
        if (!loop.isRunning) return [loop.name, { ok: false, message: 'stopped' }]
        return [
          loop.name,
          loop.failures > 2 ? { ok: false, message: `failed ${loop.failures} times in a row` } : { ok: true },
        ]
      }),
    )
  }
}
