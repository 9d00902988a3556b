import { monitorEventLoopDelay } from 'node:perf_hooks'
import { hostname } from 'node:os'
import { packageVersion } from '../../../package-version.ts'
import type { Handlers } from '../handler.ts'

const NS_PER_MS = 1e6
const US_PER_MS = 1e3
const RESOLUTION_MS = 20

export function statusHandlers(): Handlers<'status'> {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  return {
    'status.show': (app, { server }) => {
      const { rss, heapTotal, heapUsed, external } = process.memoryUsage()
      const { user, system } = process.cpuUsage()
      const late = (ns: number): number => (Number.isFinite(ns) ? Math.max(0, ns / NS_PER_MS - RESOLUTION_MS) : 0)
      const loopDelayMs = { mean: late(delay.mean), p99: late(delay.percentile(99)), max: late(delay.max) }
      delay.reset()
      return {
        version: packageVersion(),
        nodeVersion: process.versions.node,
        host: hostname(),
        pid: process.pid,
        startedAt: new Date(performance.timeOrigin),
        uptimeMs: performance.now(),
        isStopping: app.isStopping,
        memory: { rss, heapTotal, heapUsed, external },
        cpuMs: { user: user / US_PER_MS, system: system / US_PER_MS },
        loopDelayMs,
        connections: server.connections(),
        requests: server.requests(),
      }
    },
  }
}
