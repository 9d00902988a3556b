import { Cancellation } from '../engine/attempt/cancellation.ts'
import { Locks } from '../engine/attempt/locks.ts'
import { RunLogs } from '../engine/attempt/run-logs.ts'
import { Dispatcher } from '../engine/claiming/dispatcher.ts'
import { Executor } from '../engine/execution/executor.ts'
import { ConfigWatcher } from '../engine/node/config-watcher.ts'
import { Doorbell } from '../engine/node/doorbell.ts'
import { LeaseMemory } from '../engine/node/lease-memory.ts'
import { NodeLease } from '../engine/node/node-lease.ts'
import { Recovery } from '../engine/node/recovery.ts'
import { PrepareRun } from '../engine/prepare-run.ts'
import { type NodeParts } from './node-parts.ts'
import { WorkSignal } from './work-signal.ts'

/** Number of polls between two checks for a new config. */
const CONFIG_POLLS = 2

/** The parts of a node that claim and execute runs, and their helpers. */
export interface Execution {
  readonly doorbell: Doorbell
  readonly lease: NodeLease
  readonly recovery: Recovery
  readonly configs: ConfigWatcher
  readonly prepare: PrepareRun
  readonly locks: Locks
  readonly runLogs: RunLogs
  readonly cancellation: Cancellation
  readonly executor: Executor
  readonly dispatcher: Dispatcher
  readonly signal: WorkSignal
}

export function buildExecution(parts: NodeParts): Execution {
  const { events, clock, settings, role } = parts
  const { store } = parts.store
  const { leaseMs, pollIntervalMs: pollMs } = settings.piko
  const nodeId = (): string => lease.nodeId
  const memory = new LeaseMemory()
  const configs = new ConfigWatcher(store.configs, pollMs * CONFIG_POLLS, clock, events)
  const prepare = new PrepareRun((jobId) => configs.inForce(jobId))
  const locks = new Locks(store.locks, clock, events)
  const { runLogs: level, runLogLines: mostLines } = settings.history
  const runLogs = new RunLogs(store.runLogs, { level, mostLines }, clock, events)
  const executor = buildExecutor(parts, { nodeId, memory, prepare, locks, runLogs })
  const dispatcher = new Dispatcher(
    { runs: store.runs, registry: parts.registry, executor, clock, events, nodeId, holdsLease: () => memory.isHeld },
    { pollMs, onlyRegistered: role.onlyRegistered },
  )
  const doorbell = new Doorbell(
    { nodeId, nodes: () => store.nodes.doorbells(), onRing: () => dispatcher.wake(), clock },
    { listens: role.execute, address: settings.piko.doorbell, isLocal: parts.store.isLocal },
  )
  const lease = buildLease(parts, { memory, doorbell, executor })
  const recovery = new Recovery(
    {
      runs: store.runs,
      nodes: store.nodes,
      locks: store.locks,
      nodeId,
      held: () => executor.held,
      onRecovered: () => dispatcher.wake(),
      mostLost: settings.history.lostAttempts,
      isEmbedded: parts.store.isEmbedded,
      clock,
      events,
    },
    leaseMs,
  )
  const cancellation = new Cancellation(store.cancels, executor, nodeId, clock, events)
  const freeSlots = (): number => (role.execute ? executor.freeSlots : 0)
  const signal = new WorkSignal({ dispatcher, doorbell, freeSlots, clock })
  return {
    ...{ doorbell, lease, recovery, configs, prepare, locks },
    ...{ runLogs, cancellation, executor, dispatcher, signal },
  }
}

function buildExecutor(
  parts: NodeParts,
  own: Pick<Execution, 'prepare' | 'locks' | 'runLogs'> & { nodeId: () => string; memory: LeaseMemory },
): Executor {
  const { registry, resources, sinks, events, clock, settings, graceMs } = parts
  const { store } = parts.store
  const { nodeId, memory, prepare, locks, runLogs } = own
  return new Executor({
    // A manual clock stands still while time passes in the thread.
    onDeadline: parts.testClock ? () => {} : (ms) => memory.setDeadline(ms),
    holdsLease: () => memory.isHeld,
    registry,
    slots: settings.piko.concurrency,
    borrow: (map, ctx) => resources.borrow(map, ctx),
    sinksFor: (map, scope) => sinks.forRun(map, scope),
    sql: store.database.sql,
    runs: store.runs,
    rates: store.rates,
    commit: store.commit,
    maxOutputBytes: () => store.database.maxValueBytes,
    prepare,
    lock: (name, options) => locks.acquire(name, options),
    events,
    clock,
    nodeId,
    runLog: (claim) => runLogs.capture(claim, parts.runLog(claim)),
    random: Math.random,
    graceMs,
    shutdownTimeoutMs: settings.piko.shutdownTimeoutMs,
  })
}

function buildLease(
  { store: service, settings, events }: NodeParts,
  { memory, doorbell, executor }: { memory: LeaseMemory; doorbell: Doorbell; executor: Executor },
): NodeLease {
  const { store } = service
  const { leaseMs, maxBlockMs, endWhenBlocked } = settings.piko
  return new NodeLease(
    {
      nodes: store.nodes,
      options: service.options,
      files: () => store.database.files,
      memory,
      block: { maxMs: maxBlockMs, endAfterMs: endWhenBlocked ? leaseMs : undefined },
      doorbell: () => doorbell.address,
      onLost: (reason) => executor.abortAll(reason),
      events,
    },
    leaseMs,
  )
}
