// Long because it has the main class of the public API: short methods with their documentation and types.
import { hostname } from 'node:os'
import { isPikoError, PikoError } from '../errors.ts'
import type { JobSource } from '../job/job-source.ts'
import type { JobRegistry } from '../job/registry.ts'
import type { Run } from '../run/run.ts'
import { nodeTooOld } from '../node-version.ts'
import { allPools } from '../offload/pools.ts'
import { wantRunSignals } from '../offload/signal.ts'
import type { LoadedSettings } from '../settings/load.ts'
import type { Settings } from '../settings/settings.ts'
import { ExitStack } from '../service/exit-stack.ts'
import type { Service } from '../service/service.ts'
import type { SqlDatabase } from '../sql/sql.ts'
import { Events } from '../events.ts'
import { type AppLogger, createLogger } from '../telemetry/log.ts'
import { lazyLogger } from '../telemetry/lazy-logger.ts'
import type { MetricSources } from '../telemetry/metrics.ts'
import { AppMetrics } from './app-metrics.ts'
import { AppStop } from './app-stop.ts'
import { Backfills } from '../operations/backfills/backfills.ts'
import { type Batch, Batches } from '../operations/batches/batches.ts'
import type { DoctorReport } from '../operations/doctor/diagnose.ts'
import { Crawls } from '../operations/crawls/crawls.ts'
import { Items } from '../operations/items/items.ts'
import type { BatchItem, BatchItemOf, BatchOptions } from '../operations/batches/batch-request.ts'
import { optionsOf } from '../operations/call-options.ts'
import { type CacheCall, Caches } from '../operations/caches.ts'
import { Configs } from '../operations/configs.ts'
import { Jobs } from '../operations/jobs.ts'
import { actingNow, processName, withActor } from '../operations/audit/acting.ts'
import { Audit } from '../operations/audit/audit.ts'
import type { Noun, Nouns } from '../operations/audit/nouns.ts'
import { Recorder } from '../operations/audit/recorder.ts'
import { START, VERBS } from '../operations/audit/verbs.ts'
import { Limits } from '../operations/limits.ts'
import { NamedLocks } from '../operations/named-locks.ts'
import { Nodes } from '../operations/nodes.ts'
import { Live } from '../operations/live/live.ts'
import { Notify } from '../operations/notify.ts'
import { Resources } from '../operations/resources.ts'
import type { Reach } from '../operations/reach.ts'
import { jobIdOf } from '../operations/job-id.ts'
import type {
  EnqueueArguments,
  EnqueueItem,
  EnqueueItemOf,
  EnqueueOptions,
  RunArguments,
  RunId,
  RunOptions,
  RunOptionsOf,
} from '../operations/runs/run-request.ts'
import type { JobRef, OutputOf, TypesOf } from '../job/job-types.ts'
import { Runs } from '../operations/runs/runs.ts'
import { Shared, type SharedCall } from '../operations/shared.ts'
import { Services } from '../operations/services.ts'
import { Schedules } from '../operations/schedules.ts'
import { Sinks } from '../operations/sinks.ts'
import { Access } from '../operations/tokens/access.ts'
import { Tokens } from '../operations/tokens/tokens.ts'
import { Windows } from '../operations/windows.ts'
import { loadTracing } from '../tracing/open-telemetry.ts'
import { checkedOptions } from './check-options.ts'
import { systemClock } from '../clock.ts'
import type { Elector, ElectorOptions } from '../engine/node/elector.ts'
import type { Leader } from '../engine/node/leader.ts'
import type { Store } from '../store/store.ts'
import { databaseWarning } from '../store/open-store.ts'
import type { LocalServices } from '../engine/fleet/local-services.ts'
import { LoopHealth } from '../engine/loop/loop-health.ts'
import { type AppParts, build, type Running } from './build.ts'
import { checksOf, type Health } from './health.ts'
import { HttpRoutes } from './http-routes.ts'
import type { PikoOptions } from './piko-options.ts'
import { resourceAdvice } from './resource-advice.ts'
import { keepHeapSmall } from '../small-heap.ts'
import type { ResourceObserver } from '../resource/resource-state.ts'
import { ResourcesService } from '../resource/resources-service.ts'

const DEFAULT_GRACE_MS = 5_000
const NO_BATCHES = { batches: 0, runs: 0, seconds: 0 }

/**
 * The application: settings, store, jobs and the node that executes them.
 *
 * new → `start()` → running → `stop()` → stopped. A stopped app can't start again; create a new one. Calls and commands have the same
 * names: `app.runs.cancel(id)` does the same as `piko runs cancel`. The calls reject with `STOPPED` while the app is not running.
 */
export class Piko implements Nouns {
  readonly runs: Runs
  readonly jobs: Jobs
  readonly schedules: Schedules
  readonly windows: Windows
  readonly backfills: Backfills
  readonly batches: Batches
  readonly items: Items
  readonly crawls: Crawls
  readonly configs: Configs
  readonly limits: Limits
  readonly locks: NamedLocks
  readonly nodes: Nodes
  readonly resources: Resources
  /** The services of this process and of all nodes. {@link tree} returns those of this process as objects. */
  readonly services: Services
  /** The events of the fleet. */
  readonly live: Live
  readonly sinks: Sinks
  /** Notices to people. Tests the notifiers, and lists messages and open alerts. */
  readonly notify: Notify
  readonly shared: Shared & SharedCall
  readonly cache: Caches & CacheCall
  /** Your own routes on the server of the app. */
  readonly http = new HttpRoutes(() => this.#started !== undefined)
  readonly tokens: Tokens
  readonly audit: Audit
  /** Checks tokens for a server of your own. */
  readonly access: Access
  readonly events = new Events()
  readonly settings: Settings
  readonly log: AppLogger
  readonly #parts: AppParts
  readonly #loaded: LoadedSettings
  readonly #recorder = new Recorder({ nouns: this, events: this.events })
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #running: Running | undefined
  /** The functions that the stop calls to undo the start. */
  #cleanup: ExitStack | undefined
  readonly #added: { readonly first: Service[]; readonly others: Service[] } = { first: [], others: [] }
  readonly #addedJobs: JobSource[] = []
  #isReady = false
  #isStartGivenUp = false
  /** Rejects when a stop abandons the start. */
  readonly #startGivenUp: PromiseWithResolvers<never>

  /** @throws PikoError `USAGE` naming every wrong option, `SETTINGS_INVALID`, `NODE_TOO_OLD` */
  constructor(given: PikoOptions = {}) {
    const tooOld = nodeTooOld(process.versions.node)
    if (tooOld) throw tooOld
    // The field's declaration can't create this, because an older Node has no such function, and the constructor must first report the
    // error above.
    this.#startGivenUp = Promise.withResolvers()
    const { options, loaded } = checkedOptions(given)
    const { settings } = loaded
    const { clock = systemClock, graceMs = DEFAULT_GRACE_MS } = options
    this.settings = settings
    this.#loaded = loaded
    const { name, logLevel, logJson, shutdownTimeoutMs, smallHeap } = this.settings.piko
    if (smallHeap) keepHeapSmall()
    const newLogger = (): AppLogger => createLogger({ level: logLevel, json: logJson, name })
    this.log = options.logger ?? (options.execute === false ? lazyLogger(logLevel, newLogger) : newLogger())
    this.#startGivenUp.promise.catch(() => {}) // The caller that awaits the start handles the rejection.
    const resources = new ResourcesService({
      ...{ clock, observer: this.#resourceObserver() },
      construct: options.construct,
    })
    this.#parts = {
      ...{ options, settings, clock, graceMs, resources },
      log: this.log,
      events: this.events,
      loops: new LoopHealth({ events: this.events, clock }),
      metrics: new AppMetrics({
        ...{ host: hostname(), sources: this.#sources(resources), events: this.events },
        registry: options.registry,
      }),
      stopping: new AppStop({ shutdownTimeoutMs, graceMs }),
      added: this.#added,
      addedJobs: this.#addedJobs,
      isReady: () => this.#isReady,
      onGone: () => {
        if (this.#isReady) this.stop().catch(() => {})
      },
    }
    const reach = (noun: string) => (): Reach => this.#ready(`a call to app.${noun}`).node.reach
    const audited = <N extends Noun, T extends Nouns[N]>(noun: N, instance: T): T =>
      this.#recorder.audited(noun, instance, VERBS[noun], () => reach(noun)().store)
    this.runs = audited('runs', new Runs(reach('runs')))
    this.jobs = audited('jobs', new Jobs(reach('jobs')))
    this.schedules = audited('schedules', new Schedules(reach('schedules')))
    this.windows = audited('windows', new Windows(reach('windows'), new Backfills(reach('windows'))))
    this.backfills = audited('backfills', new Backfills(reach('backfills')))
    this.batches = audited('batches', new Batches(reach('batches')))
    this.items = audited('items', new Items(reach('items')))
    this.crawls = audited('crawls', new Crawls(reach('crawls')))
    this.configs = audited('configs', new Configs(reach('configs')))
    this.limits = audited('limits', new Limits(reach('limits')))
    this.locks = audited('locks', new NamedLocks(reach('locks')))
    this.nodes = audited('nodes', new Nodes(reach('nodes')))
    this.resources = audited('resources', new Resources(reach('resources')))
    this.services = audited('services', new Services(reach('services'), () => this.#servicesHere()))
    this.live = new Live(reach('live'))
    this.sinks = audited('sinks', new Sinks(reach('sinks')))
    this.notify = audited('notify', new Notify(reach('notify')))
    // No call is named here, because creating a handle only reads memory, so it is allowed inside a transaction too.
    this.shared = audited('shared', new Shared(() => this.#ready().node.reach)) as Shared & SharedCall
    this.cache = audited('cache', new Caches(() => this.#ready().node.reach)) as Caches & CacheCall
    this.tokens = audited('tokens', new Tokens(reach('tokens')))
    this.audit = audited('audit', new Audit(reach('audit')))
    this.access = new Access({
      store: () => this.#storeOf('app.access'),
      tokensFile: this.settings.http.tokensFile,
      log: this.log,
    })
  }

  #servicesHere(): LocalServices {
    const { services } = this.#running ?? {}
    if (services) return services
    throw new PikoError('STOPPED', 'this app is not started; call start() first')
  }

  #resourceObserver(): ResourceObserver {
    return {
      lost: (resource, error) => this.events.emit('resource.lost', { resource, error }),
      recovered: (resource, lostMs, tries) => this.events.emit('resource.recovered', { resource, lostMs, tries }),
      waited: (resource, ms) => this.#parts.metrics.waited(resource, ms),
    }
  }

  #sources(resources: ResourcesService): MetricSources {
    return {
      active: () => this.#running?.node.active ?? 0,
      slots: () => this.#running?.node.slots ?? 0,
      resources: () => resources.stats(),
      sinks: () => this.#running?.sinks.stats ?? [],
      openLanes: () => this.#running?.node.openLanes ?? new Map<string, number>(),
      offload: () => allPools(),
      fleet: () => this.#running?.store.figures.read(),
      node: {
        claims: () => this.#running?.store.runs.figures.claims ?? NO_BATCHES,
        finishes: () => this.#running?.store.runs.figures.finishes ?? NO_BATCHES,
        pool: () => this.#running?.store.database.poolFigures?.(),
        configs: () => this.#running?.node.configVersions ?? [],
      },
    }
  }

  /**
   * Opens the store (and migrates it if `[piko] auto_migrate` is on), registers the jobs, and begins to plan and execute. After an error,
   * it closes everything that it has opened, and then rejects.
   *
   * @param options.under the service that becomes the parent of the app's services, such as a `Worker`
   * @throws PikoError `JOB_*`, `JOBS_NOT_FOUND`, `SCHEDULE_INVALID`, `DURATION_INVALID`, `DEPENDENCY_INVALID`, `RESOURCE_INVALID`,
   * `SETTINGS_INVALID`, `DATABASE_*`, `SCHEMA_NEWER`, `MIGRATION_FAILED`, `STOPPED`
   * @throws the error of a service that fails to start
   */
  async start(options: { readonly under?: Service } = {}): Promise<void> {
    const { under } = optionsOf('start', options)
    if (this.#stopped) throw new PikoError('STOPPED', 'this app was stopped; create a new Piko to start again')
    await (this.#started ??= Promise.race([this.#start(under), this.#startGivenUp.promise]))
  }

  async #start(under: Service | undefined): Promise<void> {
    const cleanup = new ExitStack()
    try {
      const warning = databaseWarning(this.settings)
      if (warning !== undefined) this.log.warn(warning)
      await loadTracing()
      const running = await build(this.#parts, cleanup)
      if (this.#isStartGivenUp) return await this.#startGivenUp.promise
      this.#running = running
      this.#cleanup = cleanup
      await (under ? under.startChild(running.root) : running.root.start())
      this.#isReady = true
    } catch (error) {
      await cleanup.close()
      throw error
    }
    if (this.#parts.options.execute ?? true) {
      this.#advise(this.#running.registry)
      this.events.emit('node.started', { nodeId: this.#running.node.id, jobs: this.#running.registry.size })
    }
  }

  #advise(registry: JobRegistry): void {
    const { resources, settings, log } = this.#parts
    const advice = resourceAdvice(registry, settings.piko.concurrency, (map) => resources.demandsOf(map))
    for (const sentence of advice) log.info(sentence)
  }

  /**
   * Returns the root of the tree of services that the app starts and stops: Piko's own and the user's. Before `start()`, returns the tree
   * that the app would run. Starts, opens and connects nothing.
   */
  async tree(): Promise<Service> {
    if (this.#running) return this.#running.root
    const cleanup = new ExitStack()
    const { root } = await build(this.#parts, cleanup)
    await cleanup.close()
    return root
  }

  /**
   * Stops claiming and waits for runs until the deadline (`[piko] shutdown_timeout`). The remaining runs return to the queue; their
   * attempts do not count. Then everything closes in reverse order. The app accepts requests until the last run has ended.
   *
   * Also resolves after a failed start. Waits up to 5 s for a start in progress; after that, `start()` rejects with `STOPPED`.
   *
   * Settles at most 5 s after the deadline, even if a service hangs.
   *
   * @throws PikoError `STOP_INCOMPLETE` naming the services that are still hanging, or the runs whose outcomes could not be stored; the
   * errors of everything that failed to close
   */
  stop(): Promise<void> {
    if (this.#isReady) this.#running?.node.beginStop()
    return (this.#stopped ??= this.#parts.stopping.within(this.#stop(), () => this.#running?.root))
  }

  async #stop(): Promise<void> {
    if (this.#started && !this.#isReady && !(await this.#parts.stopping.startEnded(this.#started))) {
      await this.#giveUpStart()
      return
    }
    try {
      await this.#started
    } catch {
      return // The failed start has closed what it opened, and its caller receives the error.
    }
    const cleanup = this.#cleanup
    if (!this.#running || !cleanup) return
    const { root, node } = this.#running
    cleanup.defer(() => {
      this.#isReady = false
      if (this.#parts.options.execute ?? true) this.events.emit('node.stopped', { nodeId: node.id })
    })
    cleanup.defer(() => root.stop())
    await cleanup.close()
  }

  async #giveUpStart(): Promise<void> {
    this.#isStartGivenUp = true
    try {
      await this.#running?.root.stop()
    } finally {
      this.#startGivenUp.reject(new PikoError('STOPPED', 'this app was stopped while it was starting'))
      await this.#cleanup?.close()
    }
    if (!this.#running)
      throw new PikoError('STOP_INCOMPLETE', 'start() was aborted: a job module never finishes loading')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * Adds your own service, as the option `services` does.
   *
   * @param options.first starts it before everything else, and stops it last. Default false
   * @throws PikoError `SERVICE_INVALID` after the app was started
   */
  addService<S extends Service>(service: S, options: { readonly first?: boolean } = {}): S {
    if (this.#started) {
      throw new PikoError(
        'SERVICE_INVALID',
        `addService(${service.name}) was called after start(); add services before`,
      )
    }
    const list = optionsOf('addService', options).first ? this.#added.first : this.#added.others
    list.push(service)
    return service
  }

  /**
   * Adds jobs to those of the option `jobs`, in the same forms. An app with added jobs searches no files.
   *
   * @throws PikoError `USAGE` after the app was started
   */
  addJobs(jobs: JobSource): void {
    if (this.#started) throw new PikoError('USAGE', 'addJobs was called after start(); add jobs before')
    this.#addedJobs.push(jobs)
  }

  /** True from the moment a stop begins. */
  get isStopping(): boolean {
    return this.#stopped !== undefined || this.#running?.root.shouldStop === true
  }

  /** Runs that began on this node and whose outcomes are not stored yet. */
  get runsUnderWay(): readonly { readonly runId: number; readonly jobId: string }[] {
    return this.#running?.node.runsUnderWay ?? []
  }

  /** The registered jobs. */
  get registry(): JobRegistry {
    return this.#ready().registry
  }

  /** Runs plain SQL on Piko's own database. */
  get sql(): SqlDatabase {
    // When a run is aborted, the transaction of its handler must also end, so the database needs the signals of runs.
    wantRunSignals()
    return this.#ready().store.database.sql
  }

  /** The location of the store, without its password. */
  get storeLocation(): string {
    return this.#ready().store.database.location
  }

  /**
   * Requests one run of a job.
   *
   * @param job its definition or spec, which gives the types of input, config, window and output; or its id
   * @returns the stored run; with `wait: true` the succeeded run
   * @throws PikoError `JOB_UNKNOWN`, `JOB_INVALID`, `CONFIG_INVALID`, `INPUT_INVALID`, `WINDOW_UNKNOWN`, `WINDOW_BUSY`,
   * `DURATION_INVALID`, `RUN_UNSTORABLE`, `USAGE`; with `wait` also `RUN_FAILED`
   * @example
   * await app.run(syncOrders, { config: { shop: 'us' }, wait: true })
   */
  run<const J extends JobRef>(
    job: J,
    options: RunOptionsOf<TypesOf<J>> & { readonly wait: true },
  ): Promise<Run<OutputOf<J>>>
  run<const J extends JobRef>(job: J, ...options: RunArguments<TypesOf<J>>): Promise<Run<OutputOf<J> | undefined>>
  async run(job: JobRef, options: RunOptions = {}): Promise<Run> {
    const { enqueue } = this.#ready().node
    const jobId = jobIdOf('app.run', job)
    const checked = optionsOf('run', options)
    if (!actingNow()) return enqueue.run(jobId, checked)
    const { wait, signal, ...request } = checked
    const run = await this.#startRuns([jobId, request], () => enqueue.run(jobId, request))
    return wait ? enqueue.succeeded(run.id, signal) : run
  }

  /**
   * Stores one run and returns its id. With `trx` the run becomes part of the caller's own transaction: it exists if and only if that
   * transaction commits, and a node finds it within `[piko] poll_interval` after the commit.
   *
   * @throws PikoError `JOB_UNKNOWN`, `JOB_INVALID`, `CONFIG_INVALID`, `INPUT_INVALID`, `DURATION_INVALID`, `RUN_UNSTORABLE`, `USAGE`;
   * `WINDOW_UNKNOWN` for a job with windows
   * @example
   * await app.sql.transaction(async (trx) => {
   *   await trx.exec('INSERT INTO orders (id) VALUES (?)', [id])
   *   await app.enqueue('ship_order', { input: { id }, trx })
   * })
   */
  enqueue<const J extends JobRef>(job: J, ...options: EnqueueArguments<TypesOf<J>>): Promise<RunId<OutputOf<J>>>
  async enqueue(job: JobRef, options: EnqueueOptions = {}): Promise<number> {
    const jobId = jobIdOf('app.enqueue', job)
    const enqueue = (): Promise<number> => this.#ready().node.enqueue.enqueue(jobId, options)
    return actingNow() && options.trx === undefined ? this.#startRuns([jobId, options], enqueue) : enqueue()
  }

  /**
   * Stores many runs of one job, all or none, 1,000 per statement, and returns their ids in order. With `trx` they become part of the
   * caller's own transaction.
   *
   * @throws PikoError as {@link enqueue} does, before anything is stored
   * @example
   * await app.enqueueMany('ship_order', orders.map((order) => ({ input: { id: order.id } })))
   */
  enqueueMany<const J extends JobRef>(
    job: J,
    items: readonly EnqueueItemOf<TypesOf<J>>[],
    options?: Pick<EnqueueOptions, 'trx'>,
  ): Promise<RunId<OutputOf<J>>[]>
  async enqueueMany(
    job: JobRef,
    items: readonly EnqueueItem[],
    options: Pick<EnqueueOptions, 'trx'> = {},
  ): Promise<number[]> {
    const jobId = jobIdOf('app.enqueueMany', job)
    const enqueue = (): Promise<number[]> => this.#ready().node.enqueue.enqueueMany(jobId, items, options)
    return actingNow() && options.trx === undefined
      ? this.#startRuns([jobId, { runs: items.length }], enqueue)
      : enqueue()
  }

  /**
   * Starts runs for an actor, and records this in the audit. A program without an actor may start thousands of runs per second; these are
   * not recorded.
   */
  #startRuns<T>(args: readonly [jobId: string, request: unknown], make: () => Promise<T>): Promise<T> {
    const store = () => this.#ready('a call to app.run').node.reach.store
    return this.#recorder.record({ verb: 'runs.start', change: START, args, store, make })
  }

  /**
   * Names who is responsible for all changes that `fn` requests: the audit stores the name and the reason. Without this call, the audit
   * names the user and host of the process. The name is a claim of the program; Piko does not check it.
   *
   * @returns what `fn` returns
   * @throws PikoError `USAGE`
   * @example
   * await app.as({ name: 'anna', reason: 'the shop is closed' }, () => app.jobs.pause('sync_orders'))
   */
  as<T>(who: { readonly name?: string; readonly reason?: string }, fn: () => T): T {
    const { name = processName(), reason } = optionsOf('as', who)
    return withActor({ kind: 'code', name, role: 'admin' }, reason, fn)
  }

  /**
   * Stores many runs of one job as one object, a batch, with progress, wait, cancel, replay and one report. Does the same as
   * `app.batches.create`.
   *
   * @throws PikoError as `app.batches.create` does
   * @example
   * const batch = await app.batch(shipOrder, orders.map((order) => ({ input: { id: order.id } })), { key: 'ship 2026-01-01' })
   * await batch.wait()
   */
  batch<const J extends JobRef>(
    job: J,
    items: readonly BatchItemOf<TypesOf<J>>[],
    options?: BatchOptions,
  ): Promise<Batch>
  async batch(job: JobRef, items: readonly BatchItem[], options: BatchOptions = {}): Promise<Batch> {
    return this.batches.create(job, items, options)
  }

  /**
   * Resolves with a run when it has ended, whether it succeeded or not. The output has the type of the id from `enqueue`, or of the job.
   *
   * @throws PikoError `RUN_UNKNOWN`; `USAGE` if a job is given and the run belongs to another job
   */
  waitFor<Out = unknown>(runId: RunId<Out>, signal?: AbortSignal): Promise<Run<Out | undefined>>
  waitFor<const J extends JobRef>(job: J, runId: number, signal?: AbortSignal): Promise<Run<OutputOf<J> | undefined>>
  async waitFor(job: JobRef | number, runId?: number | AbortSignal, signal?: AbortSignal): Promise<Run> {
    const { enqueue } = this.#ready('app.waitFor').node
    return typeof job === 'number'
      ? enqueue.waitFor(job, runId as AbortSignal | undefined)
      : enqueue.waitForJob(jobIdOf('app.waitFor', job), runId as number, signal)
  }

  /**
   * Whether this node is the leader, and its epoch. The epoch grows with each change of leader. `changed()` resolves when either of the two
   * changes. A node stops leading before its lease ends.
   */
  get leader(): Pick<Leader, 'isLeader' | 'epoch' | 'changed'> {
    return this.#ready().node.leader
  }

  /**
   * Takes part in the election of one leader among all processes that use the same name on this database. The elector starts in the
   * background and stops with the app. Each call with the same name returns the same elector, until it is stopped.
   *
   * @param options.ttl how long a dead leader still blocks the others. Default `'10s'`, at least one second
   * @throws PikoError `USAGE`, `STOPPED` while the app is not running
   * @example
   * app.elector('exports').lead(async (signal, epoch) => exportUntil(signal, epoch))
   */
  elector(name: string, options: ElectorOptions = {}): Elector {
    return this.#ready().node.electors.get(name, options)
  }

  /** Returns the health of this node, as `/healthz` and `/readyz` show it. */
  async health(): Promise<Health> {
    const running = this.#running
    const probes = {
      database: () => running?.store.ping() ?? Promise.resolve(),
      'resources in use': () => this.#parts.resources.check(),
    }
    const checks = running ? await checksOf(running.root, this.#parts.loops.outage, this.#isReady ? probes : {}) : {}
    return { started: this.#isReady, stopping: this.#stopped !== undefined, checks }
  }

  /**
   * Examines the installation: settings, database, privileges, schema, clocks, fleet, runs and rows. Changes nothing. Never rejects because
   * of a problem: a check that can't run is also a finding. `piko doctor` does the same, even without a running node.
   *
   * @throws PikoError `STOPPED`
   */
  async doctor(): Promise<DoctorReport> {
    const { store } = this.#ready('app.doctor')
    const { diagnosed } = await import('../operations/doctor/gatherers.ts')
    return diagnosed(this.#loaded, store.doctor, this.#parts.clock)
  }

  /** Returns the metrics of this node, as `/metrics` shows them. */
  metrics(): Promise<{ contentType: string; body: string }> {
    return this.#parts.metrics.render()
  }

  /** Returns the store, which is already available while the app is starting. @throws PikoError `STOPPED` */
  #storeOf(call: string): Store {
    const store = this.#running?.store
    if (store && !this.#stopped) return store
    return this.#ready(call).store
  }

  /**
   * Returns the running app.
   *
   * @param call the name of a call that is refused inside a transaction of SQLite, because it would wait for that transaction forever
   * @throws PikoError `STOPPED`, `DATABASE_GONE`, `USAGE`
   */
  #ready(call?: string): Running {
    const { crashReason } = this.#running?.root ?? {}
    if (isPikoError(crashReason, 'DATABASE_GONE')) throw crashReason
    if (this.#running && this.#isReady) {
      if (call !== undefined) this.#running.store.database.assertOutside(call)
      return this.#running
    }
    throw new PikoError(
      'STOPPED',
      this.#stopped ? 'this app was stopped' : 'this app is not started; call start() first',
    )
  }
}
