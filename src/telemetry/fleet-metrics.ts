import { Gauge, type Registry } from 'prom-client'
import type { FleetFigures, JobFigures, WindowFigures } from '../ledger/fleet-figures.ts'

/** Reads the figures of the fleet. Returns undefined while the store is not open. */
export type ReadFleet = () => Promise<FleetFigures> | undefined

/** If the figures are older than this, in milliseconds, they are read again. Scrapes at the same time share one read. */
const MAX_AGE_MS = 5_000

type Row = readonly [labels: Record<string, string>, value: number]

/** The gauges of each job with windows. */
const WINDOW_GAUGES: readonly (readonly [
  name: string,
  help: string,
  read: (windows: WindowFigures) => number | undefined,
])[] = [
  [
    'piko_job_watermark_timestamp_seconds',
    'End of the unbroken sequence of succeeded windows, as a Unix time.',
    ({ watermark }) => watermark,
  ],
  ['piko_job_watermark_age_seconds', 'Time from the watermark until now.', ({ ageSeconds }) => ageSeconds],
  [
    'piko_job_watermark_lag_seconds',
    'Time from the watermark to the end of the last window that is due; 0: all data is there.',
    ({ lagSeconds }) => lagSeconds,
  ],
  [
    'piko_job_overdue_seconds',
    'For how long the oldest window that should have data has had none; 0: no data is missing.',
    ({ overdueSeconds }) => overdueSeconds,
  ],
  [
    'piko_job_oldest_missing_timestamp_seconds',
    'Start of the oldest window that should have data and has none, as a Unix time. Absent: no data is missing.',
    ({ oldestMissing }) => oldestMissing,
  ],
]

/** The state of the fleet. Every node reports it. It is read at most once in 5 s, however many scrapes there are. */
export class FleetMetrics {
  readonly #read: ReadFleet
  readonly #fill: (figures: FleetFigures | undefined) => void
  #readAt = -Infinity
  #reading: Promise<void> | undefined

  constructor(read: ReadFleet, registers: Registry[]) {
    this.#read = read
    const fills: ((figures: FleetFigures | undefined) => void)[] = []
    const gauge = (
      name: string,
      help: string,
      labelNames: string[],
      rows: (figures: FleetFigures) => Iterable<Row>,
    ): void => {
      const made = new Gauge({ name, help, labelNames, registers })
      fills.push((figures) => {
        made.reset()
        if (figures) for (const [labels, value] of rows(figures)) made.set(labels, value)
        // A metric without labels must be removed, because prom-client would show 0 for a value that is not known.
        else made.remove({})
      })
    }
    const ofJobs = (read: (job: JobFigures) => Iterable<Row>) => (figures: FleetFigures) =>
      figures.jobs.flatMap((job) => [...read(job)])
    const ofFleet =
      (read: (figures: FleetFigures) => number) =>
      (figures: FleetFigures): Row[] => [[{}, read(figures)]]
    for (const [name, help, read] of WINDOW_GAUGES) {
      gauge(
        name,
        help,
        ['job_id'],
        ofJobs(({ jobId, windows }) => {
          const value = windows && read(windows)
          return value === undefined ? [] : [[{ job_id: jobId }, value]]
        }),
      )
    }
    gauge(
      'piko_windows',
      'Windows without data, or with data that is stale, by job and state.',
      ['job_id', 'state'],
      ofJobs(({ jobId, windows }) =>
        Object.entries(windows?.counts ?? {}).map(([state, count]): Row => [{ job_id: jobId, state }, count]),
      ),
    )
    gauge(
      'piko_job_deadline_seconds',
      'How long after its end a window may have no data: the deadline of the job.',
      ['job_id'],
      ofJobs(({ jobId, deadlineSeconds }) =>
        deadlineSeconds === undefined ? [] : [[{ job_id: jobId }, deadlineSeconds]],
      ),
    )
    gauge(
      'piko_job_next_tick_timestamp_seconds',
      'When the planner plans the job next, as a Unix time.',
      ['job_id'],
      ofJobs(({ jobId, nextTick }) => (nextTick === undefined ? [] : [[{ job_id: jobId }, nextTick]])),
    )
    gauge(
      'piko_job_paused',
      '1 while the job is paused, otherwise 0.',
      ['job_id'],
      ofJobs(({ jobId, isPaused }) => [[{ job_id: jobId }, isPaused ? 1 : 0]]),
    )
    gauge(
      'piko_queue_runs',
      'Due runs by job and priority; the first 10,000 are counted.',
      ['job_id', 'priority'],
      ({ queue }) =>
        queue.map(({ jobId, priority, runs }): Row => [{ job_id: jobId, priority: String(priority) }, runs]),
    )
    gauge(
      'piko_queue_oldest_seconds',
      'How long the oldest due run has waited, by job and priority.',
      ['job_id', 'priority'],
      ({ queue }) =>
        queue.map(({ jobId, priority, oldestSeconds }): Row => [
          { job_id: jobId, priority: String(priority) },
          oldestSeconds,
        ]),
    )
    gauge(
      'piko_queue_due',
      'All due runs; the value is at most 10,000.',
      [],
      ofFleet(({ queue }) => queue.reduce((sum, { runs }) => sum + runs, 0)),
    )
    gauge(
      'piko_queue_age_seconds',
      'How long the oldest due run has waited; 0: none is due.',
      [],
      ofFleet(({ queue }) => Math.max(0, ...queue.map(({ oldestSeconds }) => oldestSeconds))),
    )
    gauge(
      'piko_fleet_running',
      'Runs in progress on all nodes; the value is at most 10,000.',
      [],
      ofFleet(({ running }) => running),
    )
    gauge(
      'piko_fleet_nodes',
      'Nodes with a valid lease.',
      [],
      ofFleet(({ nodes }) => nodes),
    )
    gauge(
      'piko_fleet_leader',
      '1 while a node leads and plans, otherwise 0.',
      [],
      ofFleet(({ hasLeader }) => (hasLeader ? 1 : 0)),
    )
    gauge('piko_alerts', 'Jobs that are failing or late, by problem.', ['problem'], ({ alerts }) =>
      Object.entries(alerts).map(([problem, count]): Row => [{ problem }, count]),
    )
    gauge(
      'piko_messages',
      'Messages to people that are waiting (due) or could not be delivered (dead).',
      ['state'],
      ({ messages }) => Object.entries(messages).map(([state, count]): Row => [{ state }, count]),
    )
    const isKnown = new Gauge({
      name: 'piko_fleet_known',
      help: '1 if this node could read the state of the fleet from the store, otherwise 0; then those figures are absent.',
      registers,
    })
    this.#fill = (figures) => {
      for (const fill of fills) fill(figures)
      isKnown.set(figures ? 1 : 0)
    }
    this.#fill(undefined)
  }

  /** Reads the figures again if they are old. Never rejects. */
  async refresh(): Promise<void> {
    if (performance.now() - this.#readAt < MAX_AGE_MS) return
    this.#reading ??= this.#refresh().finally(() => (this.#reading = undefined))
    await this.#reading
  }

  async #refresh(): Promise<void> {
    try {
      this.#fill(await this.#read())
    } catch {
      // The reason is in the log and in the metrics of the store. Showing old figures would hide that the data is outdated.
      this.#fill(undefined)
    }
    this.#readAt = performance.now()
  }
}
