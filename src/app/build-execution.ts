import { hostname } from 'node:os'
import { Cancellation } from '../engine/attempt/cancellation.ts'
import { Locks } from '../engine/attempt/locks.ts'
import { RunLogs } from '../engine/attempt/run-logs.ts'
import { RunProgress } from '../engine/attempt/run-progress.ts'
import { Dispatcher } from '../engine/claiming/dispatcher.ts'
import { Executor } from '../engine/execution/executor.ts'
import { ConnectionReport } from '../engine/node/connection-report.ts'
import { ConfigWatcher } from '../engine/node/config-watcher.ts'
import { Doorbell } from '../engine/node/doorbell.ts'
import { Caches } from '../engine/node/caches.ts'
import { FleetOffload } from '../engine/fleet/fleet-offload.ts'
import { KnownNodes } from '../engine/fleet/known-nodes.ts'
import { NodeLink } from '../engine/fleet/node-link.ts'
import { RunWatch } from '../engine/fleet/run-watch.ts'
import { LiveFeed } from '../engine/live/live-feed.ts'
import { Electors } from '../engine/node/electors.ts'
import { LiveSettings } from '../engine/node/live-settings.ts'
import { LeaseMemory } from '../engine/node/lease-memory.ts'
import { jobDigests } from '../engine/node/job-digests.ts'
import { NodeLease } from '../engine/node/node-lease.ts'
import { Recovery } from '../engine/node/recovery.ts'
import { SharedValues } from '../engine/node/shared-values.ts'
import { NodeReport } from '../engine/node/node-report.ts'
import { ProcessLoad } from '../engine/node/process-load.ts'
import { packageVersion } from '../package-version.ts'
import { MAX_JOB_IDS, type NodeFacts } from '../store/nodes/node-facts.ts'
import { PrepareRun } from '../engine/prepare-run.ts'
import type { Items } from './items-parts.ts'
import type { NodeParts } from './node-parts.ts'
import { WorkSignal } from './work-signal.ts'

/** The parts of a node that claim and execute runs, and those that its other parts share. */
export interface Execution {
  readonly doorbell: Doorbell
  readonly link: NodeLink
  /** Who watches runs of this node. */
  readonly watch: RunWatch
  readonly lease: NodeLease
  readonly recovery: Recovery
  readonly connectionReport: ConnectionReport
  readonly live: LiveSettings
  readonly configs: ConfigWatcher
  readonly prepare: PrepareRun
  readonly locks: Locks
  readonly shared: SharedValues
  readonly electors: Electors
  readonly caches: Caches
  readonly feed: LiveFeed
  readonly runLogs: RunLogs
  readonly progress: RunProgress
  readonly cancellation: Cancellation
  readonly nodeReport: NodeReport
  readonly executor: Executor
  readonly dispatcher: Dispatcher
  readonly signal: WorkSignal
  /** The runs that this process has requested, if it may execute no others. */
  readonly ownRuns: Set<number> | undefined
  /** The parts that run items; undefined for an app without items. */
  readonly items: Items | undefined
}

export function buildExecution(parts: NodeParts): Execution {
  const { registry, events, clock, loops, settings, role } = parts
  const { store } = parts.store
  const { leaseMs } = settings.piko
  const nodeId = (): string => lease.nodeId
  const memory = new LeaseMemory()
  const live = new LiveSettings({
    own: settings.piko,
    setLogLevel: parts.setLogLevel,
    onConcurrency: () => {
      executor.resized()
      dispatcher.wake()
    },
  })
  const configs = new ConfigWatcher({
    ...{ configs: store.configs, registry, live, nodeId, host: hostname(), clock, events, loops },
    acks: role.execute ? store.configAcks : undefined,
    tell: (topic, version) => doorbell.tell(topic, version),
  })
  const prepare = new PrepareRun(
    (jobId) => configs.inForce(jobId),
    (jobId, listener) => configs.onChange(jobId, listener),
  )
  const locks = new Locks({ locks: store.locks, assertOutside: store.database.assertOutside, clock, loops })
  parts.databaseClock?.beforeJump((ms) => locks.keepFor(ms), true)
  const shared = new SharedValues({
    ...{ store: store.shared, live, clock, events, loops },
    nodeId: () => (role.execute ? nodeId() : undefined),
    maxBytes: () => store.database.maxValueBytes,
    tell: (topic, version) => doorbell.tell(topic, version),
  })
  const electors = new Electors({ locks, clock, events, loops })
  const caches = new Caches({
    ...{ store: store.caches, clock, events },
    tell: (cache, keys) => link.tellAll({ kind: 'cache', cache, ...(keys && { keys }) }),
  })
  const feed = new LiveFeed({ store: store.events, settings: settings.events, clock, loops })
  const watch = new RunWatch()
  const runLogs = new RunLogs({ watch, store: store.runLogs, history: settings.history, clock, loops })
  const progress = new RunProgress({ watch, store: store.progress, events, clock, loops })
  const ownRuns = role.onlyOwn ? new Set<number>() : undefined
  const items = parts.buildItems?.(parts, {
    ownRuns,
    nodeId,
    holdsLease: () => memory.isHeld,
    prepare,
    locks,
    shared,
    caches,
    runLogs,
  })
  const executor = buildExecutor(parts, {
    nodeId,
    memory,
    live,
    prepare,
    locks,
    shared,
    caches,
    runLogs,
    progress,
    items,
  })
  const dispatcher = new Dispatcher(
    live.polled({
      ...{ runs: store.runs, registry, executor, clock, loops, nodeId },
      holdsLease: () => memory.isHeld,
      onlyRegistered: role.onlyRegistered,
      claimsAll: parts.databaseClock !== undefined,
      ownRuns,
    }),
  )
  parts.databaseClock?.whenDue(() => dispatcher.wakeAnew())
  const onRing = (): void => {
    dispatcher.wake()
    items?.dispatcher.wake()
  }
  const onShared = (topic: string, version: number): void => {
    if (!configs.told(topic, version)) shared.told(topic, version)
  }
  const known = new KnownNodes({ nodeId, clock, peers: () => store.nodes.peers() })
  const link: NodeLink = new NodeLink({
    ...{ nodeId, known, clock },
    settings: settings.link,
    fleet: (own) => new FleetOffload(own, nodeId),
    listens: role.execute,
    onHint: (hint) => {
      switch (hint.kind) {
        case 'work':
          return onRing()
        case 'cancel':
          return cancellation.wake()
        case 'shared':
          return onShared(hint.topic, hint.version)
        case 'cache':
          return caches.told(hint.cache, hint.keys)
      }
    },
    routes: async () => [
      (await import('../engine/fleet/node-routes.ts')).nodeRoutes(
        watch,
        parts.services,
        () => role.execute && link.isRunning,
      ),
    ],
  })
  const doorbell = new Doorbell({
    ...{ nodeId, known, onRing, onShared },
    overLink: (row, hint) => link.tell(row, hint),
    hasLinks: settings.link.listen !== 'off',
    listens: role.execute,
    doorbell: settings.piko.doorbell,
    isLocal: parts.store.isLocal,
  })
  const facts = factsReader(parts, live)
  const lease = buildLease(parts, { memory, doorbell, link, executor, items, facts })
  const recovery = new Recovery({
    ...{ runs: store.runs, nodes: store.nodes, locks: store.locks },
    ...{ nodeId, leaseMs, clock, events, loops },
    held: () => executor.held,
    onRecovered: () => dispatcher.wake(),
    lostAttempts: settings.history.lostAttempts,
    isEmbedded: parts.store.isEmbedded,
  })
  const connectionReport = new ConnectionReport({
    ...{ nodes: store.nodes, database: store.database },
    ...{ nodeId, clock, events, loops },
  })
  const cancellation = new Cancellation({ cancels: store.cancels, executor, nodeId, clock, loops })
  const nodeReport = new NodeReport({
    ...{ nodes: store.nodes, nodeId, facts, clock, loops },
    stats: () => parts.resources.stats(),
  })
  const freeSlots = (): number => (role.execute ? executor.freeSlots : 0)
  const signal = new WorkSignal({ dispatcher, doorbell, freeSlots, clock })
  return {
    ...{
      doorbell,
      link,
      watch,
      lease,
      recovery,
      connectionReport,
      live,
      configs,
      prepare,
      locks,
      shared,
      electors,
      caches,
      feed,
    },
    ...{ runLogs, progress, cancellation, nodeReport, executor, dispatcher, signal, items, ownRuns },
  }
}

function buildExecutor(
  parts: NodeParts,
  own: Pick<Execution, 'prepare' | 'locks' | 'shared' | 'caches' | 'runLogs' | 'progress' | 'items'> & {
    nodeId: () => string
    memory: LeaseMemory
    live: LiveSettings
  },
): Executor {
  const { registry, resources, sinks, events, clock, loops, settings, graceMs } = parts
  const { store } = parts.store
  const { nodeId, memory, live, prepare, locks, shared, caches, runLogs, progress } = own
  return new Executor({
    // With a test clock, the clock itself gets the deadline: the heartbeat's thread measures real time, but a manual test clock stands
    // still.
    onDeadline: parts.testClock
      ? (_ms, timeoutInMs) => parts.databaseClock?.onDeadline(timeoutInMs)
      : (ms) => memory.setDeadline(ms),
    holdsLease: () => memory.isHeld,
    ...{ registry, store, resources, sinks, locks, shared, caches, prepare, progress, events },
    ...{ clock, loops, nodeId, graceMs },
    items: own.items?.root,
    get concurrency() {
      return live.concurrency
    },
    runLog: (claim) => runLogs.capture(claim, parts.runLog(claim)),
    random: Math.random,
    shutdownTimeoutMs: settings.piko.shutdownTimeoutMs,
  })
}

function buildLease(
  { store: service, registry, settings, events, loops, databaseClock }: NodeParts,
  own: Pick<Execution, 'doorbell' | 'link' | 'executor' | 'items'> & { memory: LeaseMemory; facts: () => NodeFacts },
): NodeLease {
  const { memory, doorbell, link, executor, items, facts } = own
  const { store } = service
  const { leaseMs, maxBlockMs, endWhenBlocked } = settings.piko
  return new NodeLease({
    nodes: store.nodes,
    options: service.options,
    files: () => store.database.files,
    ...{ memory, leaseMs, facts, events, loops, databaseClock },
    block: { maxMs: maxBlockMs, endAfterMs: endWhenBlocked ? leaseMs : undefined },
    addresses: () => ({ doorbell: doorbell.address, link: link.url, linkKey: link.key }),
    digests: () => jobDigests(registry),
    onLost: (reason) => {
      executor.abortAll(reason)
      items?.lost(reason)
    },
  })
}

/** Returns a function that reads what this node reports about itself. */
function factsReader({ registry }: NodeParts, live: LiveSettings): () => NodeFacts {
  const load = new ProcessLoad()
  return () => {
    const ids = [...registry].map(({ id }) => id).sort()
    return {
      ...{ version: packageVersion(), slots: live.concurrency },
      ...{ jobs: ids.length, jobIds: ids.slice(0, MAX_JOB_IDS), load: load.now },
    }
  }
}
