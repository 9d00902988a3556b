import { Counter, Gauge, type Registry } from 'prom-client'
import type { Events } from '../events.ts'
import type { BatchFigures, PoolFigures } from '../ledger/node-figures.ts'

const NOTICES = 'piko_notice_total'

export interface NodeSources {
  readonly claims: () => BatchFigures
  readonly finishes: () => BatchFigures
  /** Returns the figures of the pool; undefined on SQLite. */
  readonly pool: () => PoolFigures | undefined
  /** The current config versions on this node, by job. */
  readonly configs: () => Iterable<readonly [jobId: string, version: number]>
}

/** Registers the metrics of this process: its batches, connections and configs. */
export function registerNode(sources: NodeSources, registers: Registry[]): void {
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      ...{ name, help, registers },
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  }
  const batches = (what: 'claim' | 'finish', runs: string, read: () => BatchFigures): void => {
    counter(`piko_${what}_batches_total`, `Statements that ${runs} runs.`, () => read().batches)
    counter(`piko_${what}_runs_total`, `Runs in the batches that piko_${what}_batches_total counts.`, () => read().runs)
    counter(
      `piko_${what}_seconds_total`,
      `Time that the store took for the batches that piko_${what}_batches_total counts.`,
      () => read().seconds,
    )
  }
  batches('claim', 'claimed', sources.claims)
  batches('finish', 'stored the ends of', sources.finishes)
  new Gauge({
    name: 'piko_store_connections',
    help: 'Connections to the database: size (the maximum), open, idle, and waiting (calls that wait for a connection). Absent on SQLite.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, value] of Object.entries<number>({ ...sources.pool() })) this.set({ state }, value)
    },
  })
  new Gauge({
    name: 'piko_config_version',
    help: 'Version of the config in force on this node, by job.',
    labelNames: ['job_id'],
    registers,
    collect() {
      this.reset()
      for (const [jobId, version] of sources.configs()) this.set({ job_id: jobId }, version)
    },
  })
}

/** Counts lost leases and notices. Returns functions that stop counting. */
export function countNode(events: Events, register: Registry): (() => void)[] {
  const registers = [register]
  const lost = new Counter({ name: 'piko_lease_lost_total', help: 'Leases that this process lost.', registers })
  const notices = new Counter({
    name: NOTICES,
    help: 'Calls to hooks and notifiers, by notifier (hook: a hook) and outcome.',
    labelNames: ['notifier', 'outcome'],
    registers,
  })
  knowNotifiers(register, ['hook'])
  const notifierOf = (channel: string): string =>
    channel.startsWith('notifier:') ? channel.slice('notifier:'.length) : 'hook'
  return [
    events.on('node.lost', () => lost.inc()),
    events.on('notice.sent', ({ channel }) => notices.inc({ notifier: notifierOf(channel), outcome: 'sent' })),
    events.on('notice.failed', ({ channel }) => notices.inc({ notifier: notifierOf(channel), outcome: 'failed' })),
  ]
}

/** Sets the counters of these notifiers to 0, unless they have a value. */
export function knowNotifiers(register: Registry, names: readonly string[]): void {
  const notices = register.getSingleMetric(NOTICES) as Counter<'notifier' | 'outcome'> | undefined
  for (const notifier of names) for (const outcome of ['sent', 'failed']) notices?.inc({ notifier, outcome }, 0)
}
