import { type JobRegistry } from '../job/registry.ts'
import { type Claim } from '../run/run.ts'
import { type Service } from '../service/service.ts'
import { type Settings } from '../settings/settings.ts'
import { type BlockPolicy } from '../store/nodes/block-watch.ts'
import { type ConfigVersion } from '../store/jobs/config-store.ts'
import { type Events } from '../events.ts'
import { BackfillControl } from '../operations/backfill-control.ts'
import { BackfillDriver } from '../engine/planning/backfill-driver.ts'
import { Cancellation } from '../engine/attempt/cancellation.ts'
import { Client } from '../operations/client.ts'
import { type Clock } from '../clock.ts'
import { ConfigWatcher } from '../engine/node/config-watcher.ts'
import { Configs } from '../operations/configs.ts'
import { DependencyDriver } from '../engine/planning/dependency-driver.ts'
import { Dispatcher } from '../engine/claiming/dispatcher.ts'
import { Doorbell } from '../engine/node/doorbell.ts'
import { Executor, type RunUnderWay } from '../engine/execution/executor.ts'
import { Leader } from '../engine/node/leader.ts'
import { LeaseMemory } from '../engine/node/lease-memory.ts'
import { Locks } from '../engine/attempt/locks.ts'
import { NodeLease } from '../engine/node/node-lease.ts'
import { OwnPlans } from '../engine/planning/own-plans.ts'
import { Planner } from '../engine/planning/planner.ts'
import { Recovery } from '../engine/node/recovery.ts'
import { Registration } from '../engine/planning/registration.ts'
import { type ResourcesService } from '../resource/resources-service.ts'
import { Retention } from '../engine/node/retention.ts'
import { RunControl } from '../operations/run-control.ts'
import { RunLogs } from '../engine/attempt/run-logs.ts'
import { RunWaiter } from '../operations/run-waiter.ts'
import { ScheduleOverride } from '../operations/schedule-override.ts'
import { type SinksService } from '../sink/sinks-service.ts'
import { type StoreService } from '../store/store-service.ts'
import { type Logger } from '../logger.ts'
import { type Agenda, type PlanScope } from '../store/jobs/plan.ts'

export interface NodeParts {
  readonly store: StoreService
  readonly registry: JobRegistry
  readonly resources: ResourcesService
  readonly sinks: SinksService
  readonly events: Events
  readonly clock: Clock
  /** What is planned goes by this clock. Default: the database's. */
  readonly testClock: Clock | undefined
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
  readonly graceMs: number
  readonly history: Settings['history']
  readonly block: BlockPolicy
  /** See `[piko] doorbell`. */
  readonly doorbell: string
}

/** A new config is looked for every so many polls. */
const CONFIG_POLLS = 2

/**
 * This process's part in the work, as services in the order of their start:
 *
 * doorbell → heartbeat → recovery → config-watcher → waiter → locks → client → run-logs → cancellation → executor → registration →
 * leader → planner → retention → backfills →
 * dependencies → dispatcher
 *
 * The stop goes the other way: nothing more is claimed and another node may lead, the runs come to their ends while handlers
 * may still ask for others, and only then the lease is given up.
 */
export class Node {
  readonly services: readonly Service[]
  readonly client: Client
  readonly configs: Configs
  readonly control: RunControl
  readonly backfills: BackfillControl
  readonly schedules: ScheduleOverride
  readonly locks: Locks
  readonly leader: Leader
  readonly runLogs: RunLogs
  readonly #lease: NodeLease
  readonly #executor: Executor
  readonly #options: NodeOptions

  constructor(parts: NodeParts, options: NodeOptions) {
    const { registry, events, clock, resources, sinks } = parts
    const { store } = parts.store
    const { leaseMs, pollMs, slots, onlyRegistered, graceMs, shutdownTimeoutMs } = options
    const nodeId = (): string => this.#lease.nodeId
    store.database.broken.onReport = (error) => {
      const { table, key, columns } = error
      events.emit('row.broken', { table, key, columns, error })
    }
    const watcher = new ConfigWatcher(store.configs, pollMs * CONFIG_POLLS, clock, events)
    const savedConfig = (jobId: string): ConfigVersion | undefined => watcher.inForce(jobId)
    this.configs = new Configs(registry, store.configs, watcher)
    this.locks = new Locks(store.locks, clock, events)
    const { history } = options
    this.runLogs = new RunLogs(store.runLogs, { level: history.runLogs, mostLines: history.runLogLines }, clock, events)
    const memory = new LeaseMemory()
    const executor = new Executor({
      // A manual clock stands still while the thread's time goes on.
      onDeadline: parts.testClock ? () => {} : (ms) => memory.setDeadline(ms),
      holdsLease: () => memory.isHeld,
      registry,
      slots,
      borrow: (map, ctx) => resources.borrow(map, ctx),
      sinksFor: (map, scope) => sinks.forRun(map, scope),
      sql: store.database.sql,
      runs: store.runs,
      rates: store.rates,
      commit: store.commit,
      maxOutputBytes: () => store.database.maxValueBytes,
      savedConfig,
      lock: (name, lockOptions) => this.locks.acquire(name, lockOptions),
      events,
      clock,
      nodeId,
      runLog: (claim) => this.runLogs.capture(claim, parts.runLog(claim)),
      random: Math.random,
      graceMs,
      shutdownTimeoutMs,
    })
    const dispatcher = new Dispatcher(
      { runs: store.runs, registry, executor, clock, events, nodeId, holdsLease: () => memory.isHeld },
      { pollMs, onlyRegistered },
    )
    const expect = (runAts: readonly Date[]): void => dispatcher.expect(runAts)
    const doorbell = new Doorbell(
      { nodeId, nodes: () => store.nodes.doorbells(), onRing: () => dispatcher.wake(), clock },
      { listens: options.execute, address: options.doorbell, isLocal: parts.store.isLocal },
    )
    const recovery = new Recovery(
      {
        runs: store.runs,
        nodes: store.nodes,
        locks: store.locks,
        nodeId,
        held: () => executor.held,
        onRecovered: () => dispatcher.wake(),
        mostLost: options.history.lostAttempts,
        isEmbedded: parts.store.isEmbedded,
        clock,
        events,
      },
      leaseMs,
    )
    const waiter = new RunWaiter(store.runs, pollMs, clock, events)
    this.#options = options
    this.#executor = executor
    this.#lease = new NodeLease(
      {
        nodes: store.nodes,
        options: parts.store.options,
        files: () => store.database.files,
        memory,
        block: options.block,
        doorbell: () => doorbell.address,
        onLost: (reason) => executor.abortAll(reason),
        events,
      },
      leaseMs,
    )
    // Others are told of more than this node has slots for.
    const ring = (due: number): void => {
      if (due > 0 && (!options.execute || due > executor.freeSlots)) doorbell.ring()
    }
    const onEnqueued = (runAts: readonly Date[]): void => {
      expect(runAts)
      ring(runAts.filter((runAt) => runAt.getTime() <= clock.now()).length)
    }
    const onQueued = (due: number): void => {
      dispatcher.wake()
      ring(due)
    }
    this.client = new Client(
      { registry, store, waiter, savedConfig },
      onEnqueued,
      options.execute ? dispatcher : undefined,
    )
    const cancellation = new Cancellation(store.cancels, executor, nodeId, clock, events)
    this.control = new RunControl(store, {
      onCancelled: () => cancellation.wake(),
      onReplayed: onQueued,
      onPruned: (count) => events.emit('runs.deleted', { count }),
    })
    const leader = (this.leader = new Leader(store.locks, this.#lease.nodeId, leaseMs, clock, events))
    // A test's clock says what is planned, else the database's: those of two nodes differ.
    const agenda = async (scope?: PlanScope): Promise<Agenda> => {
      const { now, ...rest } = await store.plans.agenda(scope)
      return { ...rest, now: parts.testClock ? new Date(parts.testClock.now()) : now }
    }
    const backfills = new BackfillDriver({ store, registry, leader, savedConfig, clock, events }, pollMs, onQueued)
    this.schedules = new ScheduleOverride(store)
    this.backfills = new BackfillControl({ store, registry, savedConfig, pollMs }, ({ id, jobId, state }) => {
      events.emit('backfill.changed', { backfillId: id, jobId, state })
      backfills.wake()
      dispatcher.wake()
    })
    const own = new OwnPlans()
    const planning = [
      new Registration({ jobs: store.jobs, registry, agenda, own, clock, events }),
      leader,
      new Planner(
        { plans: store.plans, agenda, registry, leader, own, cancels: store.cancels, savedConfig, clock, events },
        pollMs,
        expect,
      ).dependsOn(leader),
      new Retention(
        { store: store.retention, rows: store.rowCheck, leader, clock, events },
        { succeededMs: history.keepSucceededMs, failedMs: history.keepFailedMs, runsPerJob: history.keepRuns },
      ).dependsOn(leader),
      backfills.dependsOn(leader),
      new DependencyDriver(
        { store: store.dependencies, registry, leader, savedConfig, clock, events },
        pollMs,
        onQueued,
      ).dependsOn(leader),
    ]
    this.services = [
      doorbell,
      ...(options.execute ? [this.#lease.dependsOn(doorbell), recovery.dependsOn(this.#lease)] : []),
      watcher,
      waiter,
      this.locks,
      this.client.dependsOn(waiter),
      // Before the executor: a run can be cancelled until the last one has ended.
      ...(options.execute ? [this.runLogs, cancellation, executor.dependsOn(parts.store, resources, sinks)] : []),
      ...(options.execute && options.plan ? planning : []),
      ...(options.execute ? [dispatcher.dependsOn(executor, this.#lease)] : []),
    ]
    events.on('run.settled', ({ retryInMs }) => {
      if (retryInMs !== undefined) expect([new Date(clock.now() + retryInMs)])
    })
  }

  /** The app's stop has begun: the time of the runs under way is measured from now on. */
  beginStop(): void {
    this.#executor.beginStop()
  }

  get id(): string {
    return this.#lease.nodeId
  }

  /** The runs that have begun here and whose ends are not stored yet. */
  get runsUnderWay(): RunUnderWay[] {
    return this.#executor.underWay
  }

  /** Runs under way. */
  get active(): number {
    return this.#executor.running
  }

  get slots(): number {
    return this.#options.execute ? this.#options.slots : 0
  }
}
