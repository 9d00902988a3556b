import { Counter, Histogram, type Registry } from 'prom-client'
import type { Events } from '../events.ts'

const BUCKETS_S = [0.005, 0.025, 0.1, 0.25, 1, 2.5, 10]

/** Counts answered HTTP requests and measures how long they took. Returns a function that stops counting. */
export function countRequests(events: Events, register: Registry): () => void {
  const registers = [register]
  const requests = new Counter({
    name: 'piko_http_request_total',
    help: 'Answered HTTP requests, by method, route and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'piko_http_request_seconds',
    help: 'How long HTTP requests took until their answer was sent, by route.',
    labelNames: ['route'],
    buckets: BUCKETS_S,
    registers,
  })
  return events.on('request.answered', ({ method, route, status, durationMs }) => {
    requests.inc({ method, route, status })
    durations.observe({ route }, durationMs / 1_000)
  })
}
