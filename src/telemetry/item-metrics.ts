import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { Events } from '../events.ts'

/** The maximum number of error classes that get their own label, because the name of a class may be any string. */
const MAX_CLASSES = 100
const BUCKETS_S = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60]

/** Counts the tries of items that have ended. Returns functions that stop counting. */
export function countItems(events: Events, registry: Registry): (() => void)[] {
  const metrics = metricsOn(registry)
  const classes = new Set<string>()
  const labelOf = (name: string): string => {
    if (classes.size < MAX_CLASSES) classes.add(name)
    return classes.has(name) ? name : 'other'
  }
  return [
    events.on('item.ended', ({ jobId, kind, state, class: name, durationMs, phases }) => {
      metrics.ends.inc({ job_id: jobId, kind, state })
      metrics.seconds.observe({ job_id: jobId, kind }, durationMs / 1_000)
      for (const [phase, ms] of Object.entries(phases ?? {}))
        metrics.phases.observe({ job_id: jobId, kind, phase }, ms / 1_000)
      if (name !== undefined) metrics.errors.inc({ job_id: jobId, class: labelOf(name) })
    }),
  ]
}

/** Registers the metric of lanes with an open circuit breaker. The names of lanes are not a label, because there may be very many. */
export function registerLanes(openLanes: () => ReadonlyMap<string, number>, registers: Registry[]): void {
  new Gauge({
    name: 'piko_lane_open',
    help: 'Lanes of items with an open circuit breaker on all nodes, by the scope of the lanes.',
    labelNames: ['scope'],
    registers,
    collect() {
      this.reset()
      for (const [scope, count] of openLanes()) this.set({ scope }, count)
    },
  })
}

function metricsOn(registry: Registry) {
  const registers = [registry]
  return {
    ends: new Counter({
      name: 'piko_item_total',
      help: 'Attempts of items that ended on this node, by the state of the item afterwards.',
      labelNames: ['job_id', 'kind', 'state'],
      registers,
    }),
    seconds: new Histogram({
      name: 'piko_item_seconds',
      help: 'How long attempts of items took on this node.',
      labelNames: ['job_id', 'kind'],
      buckets: BUCKETS_S,
      registers,
    }),
    phases: new Histogram({
      name: 'piko_item_phase_seconds',
      help: 'How long the phases of attempts of items took on this node.',
      labelNames: ['job_id', 'kind', 'phase'],
      buckets: BUCKETS_S,
      registers,
    }),
    errors: new Counter({
      name: 'piko_item_error_total',
      help: 'Items that died on this node, by the class of their error.',
      labelNames: ['job_id', 'class'],
      registers,
    }),
  }
}
