import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { EventMap, Events } from '../events.ts'
import { inTurns, metricText } from './metric-text.ts'
import { registerResources, type ResourceFigures } from './resource-metrics.ts'
import type { SinkStats } from '../sink/delivery/sink-stats.ts'
import { registerSinks } from './sink-metrics.ts'
import { countChanges } from './change-metrics.ts'
import { countRequests } from './request-metrics.ts'
import { countItems, registerLanes } from './item-metrics.ts'
import { FleetMetrics, type ReadFleet } from './fleet-metrics.ts'
import { countNode, knowNotifiers, type NodeSources, registerNode } from './node-metrics.ts'
import { type OffloadSource, registerOffload } from './offload-metrics.ts'
import { countUnknownJobs } from './unknown-job-metrics.ts'
import { type MetricRegistry, shareMetrics } from './shared-registry.ts'
import { TalliedHistogram } from './tallied-histogram.ts'

/** The values that are read for each scrape. Each function is called once per scrape, so it must be cheap. */
export interface MetricSources {
  /** Returns how many handlers are running on this node. */
  active(): number
  /** Returns how many runs this node can execute at the same time. */
  slots(): number
  resources(): readonly ResourceFigures[]
  readonly sinks?: () => readonly SinkStats[]
  /** How many lanes of each scope have an open circuit breaker. */
  readonly openLanes?: () => ReadonlyMap<string, number>
  /** The pools of `offload`. */
  readonly offload?: () => readonly OffloadSource[]
  /** The state of the fleet in the store. */
  readonly fleet?: ReadFleet
  readonly node?: NodeSources
}

/** Values of labels that are known when the app starts. */
export interface KnownLabels {
  readonly jobs: readonly {
    readonly id: string
    readonly policy: { readonly schedule?: unknown; readonly windows?: unknown }
  }[]
  /** The names of the notifiers. */
  readonly notifiers: readonly string[]
}

/** With more jobs than this, a scrape would become too large if each job had all its counters from the start. */
const MAX_COMPLETE_JOBS = 1_000
const ALERTED_STATUSES = ['succeeded', 'failed', 'retried']
const STATUSES = [...ALERTED_STATUSES, 'cancelled', 'interrupted', 'waiting', 'skipped', 'lost']

const DURATION_BUCKETS_S = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300]
const BLOCKED_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const WAIT_BUCKETS_S = [0.001, 0.01, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800]
const LATENESS_BUCKETS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1_800]

/**
 * The metrics of one app, in the text format of Prometheus; `docs/metrics.md` lists them. Each app has its own registry, so that two apps
 * in one process do not mix their figures.
 */
export class Metrics {
  readonly #host: string
  readonly #registry = new Registry()
  readonly #process = processRegistry()
  readonly #runs: Counter<'job_id' | 'status'>
  readonly #durations: TalliedHistogram<'job_id'>
  readonly #lateness: TalliedHistogram<'job_id'>
  readonly #fleet: FleetMetrics | undefined
  readonly #waits: TalliedHistogram<'resource'>
  /** The jobs whose counters do not exist yet. */
  #known: KnownLabels['jobs'] = []
  /** How many attempts have ended since the last scrape, by status and job. */
  readonly #ends = new Map<string, Map<string, number>>()
  readonly #leader: Gauge<'host'>
  readonly #skipped: Counter<'job_id' | 'reason'>
  readonly #loopFailures: Counter<'loop'>
  readonly #restarts: Counter<'service'>
  readonly #outages: Counter
  readonly #isAway: Gauge
  readonly #crashes: Counter<'service'>
  readonly #blocked: Histogram

  constructor(options: { readonly host: string; readonly sources: MetricSources }) {
    const registers = [this.#registry]
    this.#host = options.host
    this.#runs = new Counter({
      name: 'piko_job_run_total',
      help: 'Attempts that ended and ticks that were skipped, by job and how they ended.',
      labelNames: ['job_id', 'status'],
      registers,
    })
    this.#durations = new TalliedHistogram({
      name: 'piko_job_duration_seconds',
      help: 'How long attempts took, however they ended.',
      label: 'job_id',
      buckets: DURATION_BUCKETS_S,
      registers,
    })
    this.#lateness = new TalliedHistogram({
      name: 'piko_run_lateness_seconds',
      help: 'Time from when a run was due to when its attempt began.',
      label: 'job_id',
      buckets: LATENESS_BUCKETS_S,
      registers,
    })
    this.#waits = new TalliedHistogram({
      name: 'piko_resource_wait_seconds',
      help: 'How long runs waited for their slots of the resource.',
      label: 'resource',
      buckets: WAIT_BUCKETS_S,
      registers,
    })
    this.#leader = new Gauge({
      name: 'piko_leader_status',
      help: '1 while this node is the leader, otherwise 0.',
      labelNames: ['host'],
      registers,
    })
    this.#leader.set({ host: this.#host }, 0)
    this.#skipped = new Counter({
      name: 'piko_tick_skipped_total',
      help: 'Ticks that were not run, by job and reason.',
      labelNames: ['job_id', 'reason'],
      registers,
    })
    this.#loopFailures = new Counter({
      name: 'piko_loop_failed_total',
      help: 'Failed steps of the loops of the engine.',
      labelNames: ['loop'],
      registers,
    })
    this.#outages = new Counter({
      name: 'piko_store_outages_total',
      help: 'Outages of the store that this node has seen.',
      registers,
    })
    this.#isAway = new Gauge({
      name: 'piko_store_away',
      help: '1 while the store is unavailable, otherwise 0.',
      registers,
    })
    this.#crashes = new Counter({
      name: 'piko_service_crashed_total',
      help: 'Crashes of services of this process, by their position in the tree.',
      labelNames: ['service'],
      registers,
    })
    this.#restarts = new Counter({
      name: 'piko_service_restarted_total',
      help: 'Restarts of services of this process, by their position in the tree.',
      labelNames: ['service'],
      registers,
    })
    this.#blocked = new Histogram({
      name: 'piko_event_loop_blocked_seconds',
      help: 'How long the event loop was blocked, for blocks above the threshold.',
      buckets: BLOCKED_BUCKETS_S,
      registers,
    })
    registerSources(options.sources, registers)
    this.#fleet = options.sources.fleet && new FleetMetrics(options.sources.fleet, registers)
  }

  /** Counts events. Returns a function that stops counting. */
  observe(events: Events): () => void {
    const subscriptions = [
      events.on('leader.changed', ({ isLeader }) => this.#leader.set({ host: this.#host }, isLeader ? 1 : 0)),
      events.on('tick.skipped', ({ jobId, reason }) => {
        this.#skipped.inc({ job_id: jobId, reason })
        this.#runs.inc({ job_id: jobId, status: 'skipped' })
      }),
      events.on('run.started', ({ jobId, latenessMs }) => this.#lateness.tally(jobId, latenessMs / 1_000)),
      events.on('run.settled', (payload) => {
        this.#countEnd(statusOf(payload), payload.jobId)
        this.#durations.tally(payload.jobId, payload.durationMs / 1_000)
      }),
      events.on('run.lost', ({ jobId }) => this.#runs.inc({ job_id: jobId, status: 'lost' })),
      events.on('service.crashed', ({ service }) => this.#crashes.inc({ service })),
      events.on('service.restarted', ({ service }) => this.#restarts.inc({ service })),
      events.on('loop.blocked', ({ blockedMs }) => this.#blocked.observe(blockedMs / 1_000)),
      events.on('loop.failed', ({ loop }) => this.#loopFailures.inc({ loop })),
      events.on('store.outage', () => {
        this.#outages.inc()
        this.#isAway.set(1)
      }),
      events.on('store.recovered', () => this.#isAway.set(0)),
    ]
    subscriptions.push(countUnknownJobs(events, this.#registry))
    subscriptions.push(...countItems(events, this.#registry), ...countChanges(events, this.#registry))
    subscriptions.push(...countNode(events, this.#registry), countRequests(events, this.#registry))
    return () => {
      for (const unsubscribe of subscriptions) unsubscribe()
    }
  }

  /** Records how long a run waited for its slots of a resource. */
  waited(resource: string, ms: number): void {
    this.#waits.tally(resource, ms / 1_000)
  }

  /**
   * Adds the app's metrics to a registry of the user.
   *
   * @returns a function that removes them
   * @throws PikoError `USAGE`
   */
  shareWith(registry: MetricRegistry): () => void {
    return shareMetrics(this.#registry, registry, () => this.#refresh())
  }

  /** Returns the response to a scrape: the metrics of this app and of the Node process. */
  async render(): Promise<{ contentType: string; body: string }> {
    await this.#refresh()
    let own = ''
    for (const metric of this.#registry.getMetricsAsArray()) own += `${await this.#textOf(metric.name)}\n\n`
    return { contentType: this.#registry.contentType, body: `${own}${await this.#process.metrics()}` }
  }

  /**
   * Creates the counters of jobs and notifiers with the value 0. Otherwise their first increase would not be visible. Those of jobs are
   * created with the first scrape, because 10,000 jobs would delay the start of the app.
   */
  know({ jobs, notifiers }: KnownLabels): void {
    knowNotifiers(this.#registry, notifiers)
    this.#known = jobs
  }

  async #createCounters(): Promise<void> {
    const jobs = this.#known
    this.#known = []
    const isFew = jobs.length <= MAX_COMPLETE_JOBS
    await inTurns(jobs, (some) => {
      for (const { id, policy } of some) {
        for (const status of isFew ? STATUSES : ALERTED_STATUSES) this.#runs.inc({ job_id: id, status }, 0)
        if (!isFew || !policy.schedule || policy.windows) continue
        for (const reason of ['overlap', 'misfire']) this.#skipped.inc({ job_id: id, reason }, 0)
      }
    })
  }

  async #refresh(): Promise<void> {
    await this.#createCounters()
    await this.#fleet?.refresh()
    await this.#tellEnds()
  }

  #countEnd(status: string, jobId: string): void {
    let byJob = this.#ends.get(status)
    if (!byJob) {
      byJob = new Map<string, number>()
      this.#ends.set(status, byJob)
    }
    byJob.set(jobId, (byJob.get(jobId) ?? 0) + 1)
  }

  #textOf(name: string): Promise<string> {
    const metric = this.#registry.getSingleMetric(name)
    if (metric instanceof TalliedHistogram) return metric.text()
    return metric === undefined || metric instanceof Histogram
      ? this.#registry.getSingleMetricAsString(name)
      : metricText(metric)
  }

  /** Counts each ended attempt once, even if scrapes overlap, because all scrapes share the map. */
  async #tellEnds(): Promise<void> {
    for (const [status, byJob] of this.#ends) {
      await inTurns([...byJob.keys()], (jobIds) => {
        for (const jobId of jobIds) {
          const count = byJob.get(jobId)
          if (count === undefined) continue
          byJob.delete(jobId)
          this.#runs.inc({ job_id: jobId, status }, count)
        }
      })
    }
  }
}

/**
 * Returns the status of an attempt. If its run is `queued` again, the status is `retried`. But an attempt that does not count keeps its
 * outcome, `interrupted` or `waiting`, for example because its node is stopping or a step is waiting.
 */
function statusOf({ outcome, state }: EventMap['run.settled']): string {
  if (state !== 'queued') return state
  return outcome === 'interrupted' || outcome === 'waiting' ? outcome : 'retried'
}

function registerSources(sources: MetricSources, registers: Registry[]): void {
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read())
      },
    })
  }
  gauge('piko_runs_active', 'Runs in progress on this node.', () => sources.active())
  gauge('piko_slots', 'Runs that this node can run at the same time.', () => sources.slots())
  registerResources(() => sources.resources(), registers)
  if (sources.openLanes) registerLanes(sources.openLanes, registers)
  if (sources.sinks) registerSinks(sources.sinks, registers)
  if (sources.offload) registerOffload(sources.offload, registers)
  if (sources.node) registerNode(sources.node, registers)
}

/** Gauges of prom-client whose names have an ending that is reserved for counters. `promtool check metrics` refuses such names. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

let processMetrics: Registry | undefined

/**
 * Returns the metrics of the Node process. They are created once and shared by all apps of the process, because prom-client can't stop its
 * event loop monitor and its observer of garbage collections. Neither of these keeps the process alive.
 */
function processRegistry(): Registry {
  if (!processMetrics) {
    processMetrics = new Registry()
    collectDefaultMetrics({ register: processMetrics })
    for (const name of MISNAMED) processMetrics.removeSingleMetric(name)
  }
  return processMetrics
}
