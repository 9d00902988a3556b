import { hostname } from 'node:os'
import { messageOf } from '../errors-read.ts'
import { isPikoError, PikoError } from '../errors.ts'
import { JobRegistry } from '../job/registry.ts'
import { type Attempt } from '../run/attempt.ts'
import { type Run } from '../run/run.ts'
import { type RunLogLine } from '../run/run-log.ts'
import { nodeTooOld } from '../node-version.ts'
import { defaultPool } from '../offload/default-pool.ts'
import { type Settings } from '../settings/settings.ts'
import { ExitStack } from '../service/exit-stack.ts'
import { type Service } from '../service/service.ts'
import { type SqlDatabase } from '../sql/sql.ts'
import { type BackfillFilter } from '../store/backfills/backfill-store.ts'
import { type CancelFilter, type CancelResult } from '../store/runs/cancel-store.ts'
import { type Store } from '../store/store.ts'
import { type CoverageFilter, type LedgerSpan } from '../store/windows/ledger-spans.ts'
import { type LedgerSummary, type LedgerWindow, type WindowFilter } from '../store/windows/window-store.ts'
import { type ReplayFilter, type ReplayResult } from '../store/runs/replay-store.ts'
import { type RunLogFilter } from '../store/history/run-log-store.ts'
import { type RunFilter } from '../store/runs/list-runs.ts'
import { type InstantInput, instantOf } from '../time/instant.ts'
import { type ScheduleSpec } from '../time/schedule.ts'
import { Events } from '../events.ts'
import { type AppLogger, createLogger, logEvents, runLogger } from '../telemetry/log.ts'
import { Metrics } from '../telemetry/metrics.ts'
import { assertFile } from './assert-file.ts'
import { AppStop } from './app-stop.ts'
import { optionsOf } from '../operations/call-options.ts'
import { checkedOptions } from './check-options.ts'
import { type Backfill, type BackfillWindow } from '../operations/backfill-control.ts'
import { type BackfillStatus } from '../operations/backfill-status.ts'
import { type Client } from '../operations/client.ts'
import { type Clock, systemClock } from '../clock.ts'
import { type Configs } from '../operations/configs.ts'
import { discoverJobs } from './discovery/discover.ts'
import { jobGlobs } from './discovery/job-globs.ts'
import { CpuPoolService } from '../offload/cpu-pool-service.ts'
import { type Leader } from '../engine/node/leader.ts'
import { type Locks } from '../engine/attempt/locks.ts'
import { Node } from './node.ts'
import { databaseWarning } from '../store/open-store.ts'
import { Outage } from '../engine/loop/outage.ts'
import { PikoService, serviceOf } from './piko-service.ts'
import { type PruneOptions, type Why } from '../operations/run-control.ts'
import { ResourcesService } from '../resource/resources-service.ts'
import { serviceEvents } from './service-events.ts'
import { SinksService } from '../sink/sinks-service.ts'
import { StoreService } from '../store/store-service.ts'
import { treeChecks } from './tree-checks.ts'
import { watchdog } from './watchdog.ts'
import { type JobRow } from '../store/jobs/job-row.ts'
import { type PikoOptions } from './piko-options.ts'
import { type EnqueueItem, type EnqueueOptions, type RunOptions } from '../operations/run-request.ts'
import { type BackfillRequest } from '../operations/backfill-request.ts'

/** Whether the process can do its work, part by part. */
export interface Health {
  readonly started: boolean
  readonly stopping: boolean
  readonly checks: Readonly<Record<string, { readonly ok: boolean; readonly message?: string }>>
}

const DEFAULT_GRACE_MS = 5_000
/** A check that takes longer has failed. */
const CHECK_TIMEOUT_MS = 5_000

/**
 * The application: settings, store, jobs and the node that executes them.
 *
 * new → `start()` → running → `stop()` → stopped. A stopped app is not started again; make another one.
 */
export class Piko {
  readonly events = new Events()
  readonly settings: Settings
  readonly log: AppLogger
  readonly #options: PikoOptions
  readonly #clock: Clock
  readonly #outage: Outage
  readonly #resources = new ResourcesService()
  readonly #metrics: Metrics
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #running: Running | undefined
  readonly #first: Service[] = []
  readonly #added: Service[] = []
  #isReady = false
  readonly #stopping: AppStop
  #isStartGivenUp = false
  /** Rejects when a stop no longer waits for the start. */
  readonly #startGivenUp = Promise.withResolvers<never>()

  /** @throws PikoError `USAGE` naming every wrong option, `SETTINGS_INVALID`, `NODE_TOO_OLD` */
  constructor(given: PikoOptions = {}) {
    const tooOld = nodeTooOld(process.versions.node)
    if (tooOld) throw tooOld
    const { options, settings } = checkedOptions(given)
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#outage = new Outage(this.events, this.#clock)
    this.settings = settings
    const { name, logLevel, logJson } = this.settings.piko
    this.log = options.logger ?? createLogger({ level: logLevel, json: logJson, name })
    this.#startGivenUp.promise.catch(() => {}) // It rejects for whoever waits for the start.
    this.#stopping = new AppStop({ shutdownTimeoutMs: this.settings.piko.shutdownTimeoutMs, graceMs: this.#graceMs })
    this.#metrics = new Metrics({
      host: hostname(),
      sources: {
        active: () => this.#running?.node.active ?? 0,
        slots: () => this.#running?.node.slots ?? 0,
        resources: () => this.#resources.stats(),
        offload: () => ({ threads: defaultPool.stats.threads, queued: defaultPool.stats.waiting }),
      },
    })
  }

  /**
   * Opens the store (migrating it if `[piko] auto_migrate` is on), registers the jobs and begins to plan and execute.
   * When anything fails, what was opened is closed again before the error is thrown.
   *
   * @param options.under the service that its tree becomes a part of, such as a `Worker`
   * @throws PikoError `JOB_*`, `JOBS_NOT_FOUND`, `DATABASE_*`, `SCHEMA_NEWER`, `MIGRATION_FAILED`, `STOPPED`
   */
  async start(options: { readonly under?: Service } = {}): Promise<void> {
    const { under } = optionsOf('start', options)
    if (this.#stopped) throw new PikoError('STOPPED', 'this app was stopped; make a new Piko to start again')
    await (this.#started ??= Promise.race([this.#start(under), this.#startGivenUp.promise]))
  }

  async #start(under: Service | undefined): Promise<void> {
    const cleanup = new ExitStack()
    try {
      const warning = databaseWarning(this.settings)
      if (warning !== undefined) this.log.warn(warning)
      const running = await this.#build(cleanup)
      if (this.#isStartGivenUp) return await this.#startGivenUp.promise
      this.#running = running
      await (under ? under.startChild(running.root) : running.root.start())
      this.#isReady = true
    } catch (error) {
      await cleanup.close()
      throw error
    }
    if (this.#options.execute ?? true) {
      this.events.emit('node.started', { nodeId: this.#running.node.id, jobs: this.#running.registry.size })
    }
  }

  /** The tree of services that `start()` would run, with nothing started, opened or connected. */
  async tree(): Promise<Service> {
    if (this.#running) return this.#running.root
    const cleanup = new ExitStack()
    const { root } = await this.#build(cleanup)
    await cleanup.close()
    return root
  }

  async #build(cleanup: ExitStack): Promise<Running> {
    const { events, settings, log } = this
    const executes = this.#options.execute ?? true
    const registry = await this.#registry()
    cleanup.defer(logEvents(events, log))
    cleanup.defer(this.#metrics.observe(events))
    if (executes) assertFile(settings)
    const store = new StoreService(settings, executes)
    const sinks = new SinksService({ sql: store.store.database.sql, log }).dependsOn(store)
    const users = [...(this.#options.services ?? []).map(serviceOf), ...this.#added]
    const node = new Node(
      {
        store,
        registry,
        resources: this.#resources.lend(users),
        sinks,
        events,
        clock: this.#clock,
        testClock: this.#options.clock,
        runLog: (claim) => runLogger(log, claim),
      },
      {
        slots: settings.piko.concurrency,
        pollMs: settings.piko.pollIntervalMs,
        leaseMs: settings.piko.leaseMs,
        shutdownTimeoutMs: settings.piko.shutdownTimeoutMs,
        plan: this.#options.plan ?? true,
        execute: executes,
        onlyRegistered: this.#options.only !== undefined,
        graceMs: this.#graceMs,
        history: settings.history,
        doorbell: settings.piko.doorbell,
        block: {
          maxMs: settings.piko.maxBlockMs,
          endAfterMs: settings.piko.endWhenBlocked ? settings.piko.leaseMs : undefined,
        },
      },
    )
    const { blockThresholdMs } = settings.piko
    const watchdogs = executes && blockThresholdMs > 0 ? [watchdog(blockThresholdMs, events)] : []
    const root = new PikoService(
      [
        ...this.#first,
        ...watchdogs,
        store,
        new CpuPoolService(settings.offload.threads),
        this.#resources,
        sinks,
        ...users,
        ...node.services,
      ],
      { log, stopTimeout: `${this.#stopping.treeTimeoutMs}ms` },
    )
    root.observe(serviceEvents(events, () => this.#isReady))
    root.observe({
      stateChanged: (service, _from, to, reason) => {
        // What is asked of it from now on must not be taken for done. Who calls `stop()` as well has the result of this one.
        if (service === root && to === 'crashed' && isPikoError(reason, 'DATABASE_GONE') && this.#isReady) {
          this.stop().catch(() => {})
        }
      },
    })
    this.#stopping.watch(root, node, () => store.store.database.cut())
    return { registry, store: store.store, node, client: node.client, root, cleanup }
  }

  get #graceMs(): number {
    return this.#options.graceMs ?? DEFAULT_GRACE_MS
  }

  async #registry(): Promise<JobRegistry> {
    const { jobs, only } = this.#options
    const registry =
      jobs === undefined
        ? JobRegistry.of(await discoverJobs(jobGlobs(this.settings), process.cwd()))
        : JobRegistry.of(jobs)
    return only ? registry.pick(only) : registry
  }

  /**
   * Claims nothing more, lets runs end until the deadline (`[piko] shutdown_timeout`), gives the rest back to the queue
   * uncounted, and closes everything in reverse order. Until the last run has ended the app takes requests. Resolves also
   * after a failed start. A start under way has up to 5 s; then it is given up, and rejects with `STOPPED`.
   *
   * Whatever hangs, the stop has settled 5 s after the deadline.
   *
   * @throws PikoError `STOP_INCOMPLETE` naming what hangs and is left behind, or the runs whose ends could not be stored; what
   * failed to close
   */
  stop(): Promise<void> {
    return (this.#stopped ??= this.#stopping.within(this.#stop(), () => this.#running?.root))
  }

  async #stop(): Promise<void> {
    if (this.#started && !this.#isReady && !(await this.#stopping.startEnded(this.#started))) {
      await this.#giveUpStart()
      return
    }
    try {
      await this.#started
    } catch {
      return // The failed start has closed what it had opened, and its caller has the error.
    }
    if (!this.#running) return
    const { root, node, cleanup } = this.#running
    cleanup.defer(() => {
      this.#isReady = false
      if (this.#options.execute ?? true) this.events.emit('node.stopped', { nodeId: node.id })
    })
    cleanup.defer(() => root.stop())
    await cleanup.close()
  }

  async #giveUpStart(): Promise<void> {
    this.#isStartGivenUp = true
    try {
      await this.#running?.root.stop()
    } finally {
      this.#startGivenUp.reject(new PikoError('STOPPED', 'this app was stopped while it started'))
      await this.#running?.cleanup.close()
    }
    if (!this.#running)
      throw new PikoError(
        'STOP_INCOMPLETE',
        'the start of the app is left behind: a module of jobs does not end to load',
      )
  }

  /** The tree of services, the app's own and those of `services`; its root is started and stopped by this app. */
  get services(): PikoService {
    const { root } = this.#running ?? {}
    if (root) return root
    throw new PikoError('STOPPED', 'this app is not started; call start() first')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * Adds a service of your own, as the option `services` does.
   *
   * @param options.first start it before everything else, and stop it last
   * @throws PikoError `SERVICE_INVALID` when the app has been started
   */
  addService<S extends Service>(service: S, options: { readonly first?: boolean } = {}): S {
    if (this.#started) {
      throw new PikoError(
        'SERVICE_INVALID',
        `addService(${service.name}) was called after start(); add services before`,
      )
    }
    const list = optionsOf('addService', options).first ? this.#first : this.#added
    list.push(service)
    return service
  }

  /** True while it stops, and after. */
  get isStopping(): boolean {
    return this.#stopped !== undefined || this.#running?.root.shouldStop === true
  }

  /** The runs that have begun on this node and whose ends are not stored yet. */
  get runsUnderWay(): readonly { readonly runId: number; readonly jobId: string }[] {
    return this.#running?.node.runsUnderWay ?? []
  }

  /** The registered jobs. */
  get registry(): JobRegistry {
    return this.#ready().registry
  }

  /** Piko's own database as plain SQL. */
  get sql(): SqlDatabase {
    return this.#ready().store.database.sql
  }

  /** Where the store is, without its password. */
  get storeLocation(): string {
    return this.#ready().store.database.location
  }

  /**
   * Asks for one run of a job.
   *
   * @returns the run as queued, or with `wait: true` as it succeeded
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `WINDOW_UNKNOWN`, `WINDOW_BUSY`; with `wait` also `RUN_FAILED`
   * @example
   * await app.run('sync_orders', { config: { shop: 'us' }, wait: true })
   */
  async run(jobId: string, options: RunOptions = {}): Promise<Run> {
    return this.#ready().client.run(jobId, optionsOf('run', options))
  }

  /**
   * Stores one run and returns its id. With `trx` it becomes part of the caller's own transaction: the run exists if and only
   * if that transaction commits, and is found by the next look for work (`[piko] poll_interval` at most).
   *
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `USAGE`; `WINDOW_UNKNOWN` for a job with windows
   * @example
   * await app.sql.transaction(async (trx) => {
   *   await trx.exec('INSERT INTO orders (id) VALUES (?)', [id])
   *   await app.enqueue('ship_order', { input: { id }, trx })
   * })
   */
  async enqueue(jobId: string, options: EnqueueOptions = {}): Promise<number> {
    return this.#ready().client.enqueue(jobId, options)
  }

  /**
   * Stores many runs of one job, all or none, 1,000 a statement, and returns their ids in order. With `trx` they become part
   * of the caller's own transaction.
   *
   * @throws PikoError as {@link enqueue} does, before anything is stored
   * @example
   * await app.enqueueMany('ship_order', orders.map((order) => ({ input: { id: order.id } })))
   */
  async enqueueMany(
    jobId: string,
    items: readonly EnqueueItem[],
    options: Pick<EnqueueOptions, 'trx'> = {},
  ): Promise<number[]> {
    return this.#ready().client.enqueueMany(jobId, items, options)
  }

  /** Resolves with a run once it is settled, whatever its end. */
  async waitFor(runId: number, signal?: AbortSignal): Promise<Run> {
    return this.#ready().client.waitFor(runId, signal)
  }

  /** Locks over all nodes, for what runs outside of jobs; a handler has `ctx.lock`. */
  get locks(): Pick<Locks, 'acquire'> {
    return this.#ready().node.locks
  }

  /**
   * Whether this node leads, its epoch (a number that grows with each change of leader), and `changed()`, which resolves at the
   * next change of that. A node ceases to lead before its lease ends.
   */
  get leader(): Pick<Leader, 'isLeader' | 'epoch' | 'changed'> {
    return this.#ready().node.leader
  }

  /** Configuration of jobs at run time. */
  get configs(): Configs {
    return this.#ready().node.configs
  }

  /** One run, or undefined. */
  async findRun(runId: number): Promise<Run | undefined> {
    return this.#ready().store.runs.find(runId)
  }

  /** Runs, newest first; 100 unless the filter says otherwise. */
  async runs(filter: RunFilter = {}): Promise<Run[]> {
    return this.#ready().store.runs.list(optionsOf('runs', filter))
  }

  /**
   * Cancels one run, wherever it is. A queued run is `cancelled` at once; a running one is returned with `cancelRequestedAt`: its
   * node aborts `ctx.signal` with `RUN_CANCELLED` within two seconds, and it is not tried again. A run that has ended is returned
   * unchanged.
   *
   * @throws PikoError `RUN_UNKNOWN`
   */
  async cancel(runId: number): Promise<Run> {
    return this.#ready().node.control.cancel(runId)
  }

  /**
   * Cancels all runs that fit and have not ended.
   *
   * @returns how many queued runs it ended, and how many running ones it asked to end
   * @throws PikoError `USAGE` for a filter that names no runs
   * @example
   * await app.cancelAll({ jobId: 'sync_orders', state: 'queued' })
   */
  async cancelAll(filter: CancelFilter): Promise<CancelResult> {
    return this.#ready().node.control.cancelAll(optionsOf('cancelAll', filter))
  }

  /**
   * Puts failed (or cancelled) runs back into the queue, as if they had never run; their windows are pending again. A run whose
   * window has been run again since is left as it is.
   *
   * @throws PikoError `USAGE` for a filter that names no runs
   * @example
   * const { count } = await app.replay({ jobId: 'sync_orders', since: new Date('2026-01-01T00:00:00Z') })
   */
  async replay(filter: ReplayFilter): Promise<ReplayResult> {
    return this.#ready().node.control.replay(optionsOf('replay', filter))
  }

  /** What `replay` would do now. */
  async previewReplay(filter: ReplayFilter): Promise<ReplayResult> {
    return this.#ready().node.control.previewReplay(optionsOf('replay', filter))
  }

  /**
   * The attempts of a run, oldest first, with their errors; those before a replay too.
   *
   * @throws PikoError `RUN_UNKNOWN`
   */
  async attempts(runId: number): Promise<Attempt[]> {
    return this.#ready().node.control.attempts(runId)
  }

  /**
   * What the handler of a run logged, oldest first; 1,000 lines unless the filter says otherwise. Lines come from
   * `[history] run_logs` on, at most `run_log_lines` of an attempt, within a second or two.
   *
   * @throws PikoError `RUN_UNKNOWN`
   */
  async logs(runId: number, filter: RunLogFilter = {}): Promise<RunLogLine[]> {
    const { node } = this.#ready()
    await node.control.find(runId)
    return node.runLogs.list(runId, optionsOf('logs', filter))
  }

  /**
   * Deletes ended runs with their attempts and log lines; `[history]` does the same by itself.
   *
   * @returns how many
   * @throws PikoError `DURATION_INVALID`
   * @example
   * await app.prune({ olderThan: '7d', states: ['succeeded'] })
   */
  async prune(options: PruneOptions): Promise<number> {
    return this.#ready().node.control.prune(optionsOf('prune', options))
  }

  /**
   * Pauses the schedule of a job on all nodes, within one poll and until {@link resume}; a deploy does not undo it. Runs that are
   * queued or running go on, and it can be run by hand.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async pause(jobId: string): Promise<void> {
    return this.#ready().node.control.setPaused(jobId, true)
  }

  /**
   * Lets the schedule of a paused job go on. What was missed is decided as after an outage: by `misfireGraceTime` and `misfire`, or
   * `windows.catchUp`.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async resume(jobId: string): Promise<void> {
    return this.#ready().node.control.setPaused(jobId, false)
  }

  /**
   * Gives a job another schedule than its code does, or none (null), on all nodes within one poll and through deploys until
   * {@link clearSchedule}. Windows go on where the old ones end.
   *
   * @throws PikoError `JOB_UNKNOWN`, `SCHEDULE_INVALID`
   * @example
   * await app.setSchedule('report', { kind: 'cron', cron: '0 6 * * 1-5', timezone: 'Europe/Rome' })
   */
  async setSchedule(jobId: string, schedule: ScheduleSpec | null): Promise<void> {
    return this.#ready().node.schedules.set(jobId, schedule)
  }

  /** The schedule of the code counts again. @throws PikoError `JOB_UNKNOWN` */
  async clearSchedule(jobId: string): Promise<void> {
    return this.#ready().node.schedules.clear(jobId)
  }

  /**
   * Why a job did or did not run at an instant of its schedule; without one, at the last that was planned. Of a job with windows it is the
   * window that the instant belongs to, or else the one that ends with it.
   *
   * @throws PikoError `JOB_UNKNOWN`
   */
  async why(jobId: string, tick?: InstantInput): Promise<Why> {
    return this.#ready().node.control.why(jobId, tick === undefined ? undefined : instantOf('tick', tick))
  }

  /** All jobs that the database knows. */
  async jobs(): Promise<JobRow[]> {
    return this.#ready().store.jobs.list()
  }

  /** Windows of a job's ledger, oldest first; 100 unless the filter says otherwise. */
  async windows(jobId: string, filter: WindowFilter = {}): Promise<LedgerWindow[]> {
    return this.#ready().store.windows.list(jobId, optionsOf('windows', filter))
  }

  /**
   * A job's ledger as spans of neighbouring windows in the same state, with the holes between them: what is covered and what is not.
   * Oldest first; 100 unless the filter says otherwise.
   *
   * @example
   * const holes = (await app.coverage('sync_orders')).filter(({ state }) => state !== 'succeeded')
   */
  async coverage(jobId: string, filter: CoverageFilter = {}): Promise<LedgerSpan[]> {
    return this.#ready().store.windows.coverage(jobId, optionsOf('coverage', filter))
  }

  /** Counts, bounds and watermark of a job's ledger. */
  async ledger(jobId: string): Promise<LedgerSummary> {
    return this.#ready().store.windows.summary(jobId)
  }

  /**
   * Runs the windows of a range: those that are missing, that failed, or all. It goes on in the background, over all nodes and through
   * restarts, behind live work.
   *
   * @throws PikoError `JOB_UNKNOWN`, `CONFIG_INVALID`, `USAGE`; `WINDOW_UNKNOWN` for a job without windows or a range without one
   * @example
   * const backfill = await app.backfill('sync_orders', { from: '2025-01-01T00:00:00Z', to: '2026-01-01T00:00:00Z', parallel: 8 })
   * await backfill.wait({ onProgress: ({ done, total }) => console.log(`${done}/${total}`) })
   */
  async backfill(jobId: string, request: BackfillRequest): Promise<Backfill> {
    return this.#ready().node.backfills.create(jobId, optionsOf('backfill', request))
  }

  /** The exact windows that `backfill` would run now, in its order, one after the other however many. Changes nothing. */
  previewBackfill(jobId: string, request: BackfillRequest): AsyncIterable<BackfillWindow> {
    return this.#ready().node.backfills.preview(jobId, optionsOf('backfill', request))
  }

  /** @throws PikoError `BACKFILL_UNKNOWN` */
  async findBackfill(id: number): Promise<Backfill> {
    return this.#ready().node.backfills.get(id)
  }

  /** Backfills with their progress, newest first; 100 unless the filter says otherwise. */
  async backfills(filter: BackfillFilter = {}): Promise<BackfillStatus[]> {
    return this.#ready().node.backfills.list(optionsOf('backfills', filter))
  }

  /** For `/healthz` and `/readyz`. */
  async health(): Promise<Health> {
    const running = this.#running
    const checks: Record<string, { ok: boolean; message?: string }> = running ? treeChecks(running.root) : {}
    const { message } = this.#outage
    if (running && message !== undefined) checks['store'] = { ok: false, message }
    if (running && this.#isReady) {
      checks['database'] = await passes(() => running.store.ping())
      checks['resources in use'] = await passes(() => this.#resources.check())
    }
    return { started: this.#isReady, stopping: this.#stopped !== undefined, checks }
  }

  /** For `/metrics`. */
  metrics(): Promise<{ contentType: string; body: string }> {
    return this.#metrics.render()
  }

  #ready(): Running {
    const { crashReason } = this.#running?.root ?? {}
    if (isPikoError(crashReason, 'DATABASE_GONE')) throw crashReason
    if (this.#running && this.#isReady) return this.#running
    throw new PikoError(
      'STOPPED',
      this.#stopped ? 'this app was stopped' : 'this app is not started; call start() first',
    )
  }
}

interface Running {
  readonly registry: JobRegistry
  readonly store: Store
  readonly node: Node
  readonly client: Client
  readonly root: PikoService
  readonly cleanup: ExitStack
}

async function passes(check: () => Promise<void>): Promise<{ ok: boolean; message?: string }> {
  try {
    const timer = Promise.withResolvers<never>()
    const late = setTimeout(
      () => timer.reject(new Error(`no answer within ${CHECK_TIMEOUT_MS / 1_000} s`)),
      CHECK_TIMEOUT_MS,
    )
    await Promise.race([check(), timer.promise]).finally(() => clearTimeout(late))
    return { ok: true }
  } catch (error) {
    return { ok: false, message: isPikoError(error) ? error.message : messageOf(error) }
  }
}
