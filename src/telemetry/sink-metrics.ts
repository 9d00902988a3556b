import { Counter, Gauge, type Registry } from 'prom-client'
import type { SinkStats } from '../sink/delivery/sink-stats.ts'

const HELP: readonly (readonly [name: string, field: Exclude<keyof SinkStats, 'sink'>, help: string])[] = [
  ['piko_sink_rows_total', 'rows', 'Rows delivered to the target.'],
  ['piko_sink_batches_total', 'batches', 'Batches delivered to the target.'],
  ['piko_sink_bytes_total', 'bytes', 'Approximate bytes of memory that the delivered rows took.'],
  ['piko_sink_delivery_seconds_total', 'seconds', 'Time that successful deliveries took.'],
  ['piko_sink_retries_total', 'retries', 'Deliveries that were tried again.'],
  ['piko_sink_dead_rows_total', 'dead', 'Rows that the target refused and that are dead letters.'],
  ['piko_sink_spilled_rows_total', 'spilledRows', "Rows stored on this host's disk while the target was down."],
  ['piko_sink_spill_bytes', 'spillBytes', "Bytes on this host's disk now."],
  ['piko_sink_spill_segments', 'spillSegments', "Segments on this host's disk now."],
  ['piko_sink_spill_oldest_seconds', 'spillAgeSeconds', "Age of the oldest batch on this host's disk; 0: none."],
]

export function registerSinks(read: () => readonly SinkStats[], registers: Registry[]): void {
  for (const [name, field, help] of HELP) {
    const options = { name, help, labelNames: ['sink'], registers } as const
    if (name.endsWith('_total')) {
      new Counter({
        ...options,
        collect() {
          this.reset()
          for (const figures of read()) this.inc({ sink: figures.sink }, figures[field])
        },
      })
    } else {
      new Gauge({
        ...options,
        collect() {
          for (const figures of read()) this.set({ sink: figures.sink }, figures[field])
        },
      })
    }
  }
}
