import { LocalServices } from '../engine/fleet/local-services.ts'
import type { LoopHealth } from '../engine/loop/loop-health.ts'
import { type Clock, movesDatabase } from '../clock.ts'
import { isPikoError } from '../errors.ts'
import type { Events } from '../events.ts'
import { resourcesOf } from '../job/job-resources.ts'
import type { JobSource } from '../job/job-source.ts'
import { JobRegistry } from '../job/registry.ts'
import { Windows } from '../operations/windows.ts'
import { withProofs } from './proof-jobs.ts'
import { CpuPoolService } from '../offload/cpu-pool-service.ts'
import type { ResourcesService } from '../resource/resources-service.ts'
import type { ExitStack } from '../service/exit-stack.ts'
import type { Service } from '../service/service.ts'
import type { Settings } from '../settings/settings.ts'
import { wantRunSignals } from '../offload/signal.ts'
import { SinksService } from '../sink/sinks-service.ts'
import { StoreService } from '../store/store-service.ts'
import type { Store } from '../store/store.ts'
import { type AppLogger, logEvents, runLogger } from '../telemetry/log.ts'
import type { AppMetrics } from './app-metrics.ts'
import type { AppStop } from './app-stop.ts'
import { assertFile } from './assert-file.ts'
import { sinkClassesOf } from '../job/sinks-of.ts'
import { durableSinks } from './durable-sinks.ts'
import { discoverJobs } from './discovery/discover.ts'
import { jobGlobs } from './discovery/job-globs.ts'
import { Outlets } from '../engine/notices/outlets.ts'
import { notifiersOf } from '../engine/notices/notifiers.ts'
import { Node } from './node.ts'
import type { PikoOptions } from './piko-options.ts'
import { PikoService, serviceOf } from './piko-service.ts'
import { serviceEvents } from './service-events.ts'
import { sinkReach } from './sink-reach.ts'
import { watchdog } from './watchdog.ts'

/** What an app is built from. */
export interface AppParts {
  readonly options: PikoOptions
  readonly settings: Settings
  readonly log: AppLogger
  readonly events: Events
  readonly clock: Clock
  readonly loops: LoopHealth
  readonly metrics: AppMetrics
  readonly resources: ResourcesService
  readonly stopping: AppStop
  readonly graceMs: number
  /** The user's services. `first` start before all other services; `others` start with the services from the options. */
  readonly added: { readonly first: readonly Service[]; readonly others: readonly Service[] }
  /** Jobs that were added with `addJobs`, in addition to the jobs of the options. */
  readonly addedJobs: readonly JobSource[]
  readonly isReady: () => boolean
  /** Called when the database no longer exists. */
  readonly onGone: () => void
}

/** An assembled app. */
export interface Running {
  readonly registry: JobRegistry
  readonly store: Store
  readonly node: Node
  readonly root: PikoService
  readonly services: LocalServices
  readonly sinks: SinksService
}

/**
 * Builds the tree of services. Does not start, open or connect anything.
 *
 * @param cleanup collects the functions that the stop must call
 */
export async function build(parts: AppParts, cleanup: ExitStack): Promise<Running> {
  const { options, settings, log, events, clock, loops, metrics, resources, stopping, added, graceMs } = parts
  const { execute = true, plan = true } = options
  const windows = new Windows(() => ({ store: store.store }))
  const registry = await registryOf(parts, windows)
  cleanup.defer(logEvents(events, log))
  cleanup.defer(() => metrics.close())
  const notifiers = notifiersOf(options.notifiers ?? [], settings.notify)
  if (execute || added.first.length > 0 || added.others.length > 0)
    (await metrics.load()).know({ jobs: [...registry], notifiers: notifiers.map(({ name }) => name) })
  if (execute) assertFile(settings)
  const store = new StoreService({
    ...{ settings, isNode: execute },
    ...(movesDatabase(options.clock) && { clock: options.clock }),
  })
  const sinks = new SinksService({
    env: { sql: store.store.database.sql, log },
    durable: durableSinks({ store: store.store, events, settings, log }),
    classes: execute ? sinkClassesOf(registry) : [],
  }).dependsOn(store)
  // A transaction of a resource or sink blocks all other writes to an SQLite file. It must end with its run, so an abort of the run must
  // reach the database. See also `app.sql`.
  if (store.isEmbedded && [...registry].some(({ spec }) => spec.resources ?? spec.sinks)) wantRunSignals()
  const users = [...(options.services ?? []).map(serviceOf), ...added.others]
  const services = new LocalServices(() => root, new Set([...added.first, ...users]))
  const hasItems = execute && [...registry].some(({ policy }) => policy.items)
  const node = new Node({
    buildItems: hasItems ? (await import('./build-items.ts')).buildItems : undefined,
    ...{ store, registry, sinks, services, events, clock, loops, settings, graceMs },
    outlets: new Outlets({ registry, hooks: options, notifiers }),
    resources: resources.lend(users).prepare([...registry].map(resourcesOf).filter((map) => map !== undefined)),
    testClock: options.clock,
    databaseClock: movesDatabase(options.clock) ? options.clock : undefined,
    sinkReach: sinkReach({ store: store.store, sinks, settings, log }),
    runLog: (claim) => runLogger(log, claim),
    setLogLevel: logLevelOf(log),
    role: { plan, execute, onlyRegistered: options.only !== undefined, onlyOwn: options.onlyOwn === true },
  })
  const { blockThresholdMs } = settings.piko
  const watchdogs = execute && blockThresholdMs > 0 ? [watchdog(blockThresholdMs, events)] : []
  const cpuPool = new CpuPoolService(settings.offload.threads, settings.offload.pools)
  const { attach } = settings.link
  const attaches =
    attach === ''
      ? []
      : [new (await import('../engine/fleet/attach-server.ts')).AttachServer({ path: attach, root: () => root, log })]
  const root: PikoService = new PikoService(
    [...added.first, ...attaches, ...watchdogs, store, cpuPool, resources, sinks, ...users, ...node.services],
    { log, stopTimeout: `${stopping.treeTimeoutMs}ms` },
  )
  root.observe(serviceEvents(events, parts.isReady))
  root.observe({
    stateChanged: (service, _from, to, reason) => {
      // The root has crashed because the database no longer exists. So the app begins to stop, and refuses requests. A later call to
      // `stop()` returns the result of this stop.
      if (service === root && to === 'crashed' && isPikoError(reason, 'DATABASE_GONE')) parts.onGone()
    },
  })
  stopping.watch(root, node, () => store.store.database.cut())
  return { registry, store: store.store, node, root, services, sinks }
}

/** Returns a function that sets the level of this log, and of the logs of runs that begin later. Undefined: the level that it has now. */
function logLevelOf(log: AppLogger): (level: string | undefined) => void {
  const { level: own } = log
  return (level) => void (log.level = level ?? own)
}

async function registryOf({ options, settings, addedJobs }: AppParts, windows: Windows): Promise<JobRegistry> {
  const { jobs, only } = options
  const given = addedJobs.length === 0 ? jobs : [jobs ?? [], ...addedJobs]
  const declared = JobRegistry.of(given ?? (await discoverJobs(jobGlobs(settings), process.cwd())))
  const registry = withProofs(declared, (jobId, range) => windows.prove(jobId, range))
  return only ? registry.pick(only) : registry
}
