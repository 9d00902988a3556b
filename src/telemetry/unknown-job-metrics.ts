import { Gauge, type Registry } from 'prom-client'
import type { Events } from '../events.ts'

/** Counts the jobs that no live node knows. Returns the function that stops counting. */
export function countUnknownJobs(events: Events, register: Registry): () => void {
  const gauge = new Gauge({
    name: 'piko_jobs_unknown',
    help: 'Jobs with a schedule or queued runs that no live node knows. The leader counts them; 0 on other nodes.',
    registers: [register],
  })
  gauge.set(0)
  return events.on('jobs.unknown', ({ jobIds }) => gauge.set(jobIds.length))
}
