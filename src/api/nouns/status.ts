import { z } from 'zod'
import { route } from '../route.ts'
import { count, instant, milliseconds } from '../values.ts'

const status = z.object({
  version: z.string().meta({ description: 'The version of Piko.' }),
  nodeVersion: z.string().meta({ description: 'The version of Node.js.' }),
  host: z.string(),
  pid: count,
  startedAt: instant,
  uptimeMs: milliseconds,
  isStopping: z.boolean(),
  memory: z
    .object({ rss: count, heapTotal: count, heapUsed: count, external: count })
    .meta({ description: 'In bytes.' }),
  cpuMs: z.object({ user: milliseconds, system: milliseconds }),
  loopDelayMs: z
    .object({ mean: milliseconds, p99: milliseconds, max: milliseconds })
    .meta({ description: 'The delay of the event loop since the previous request.' }),
  connections: count.meta({ description: 'Open connections to this server.' }),
  requests: count.meta({ description: 'Requests in progress, including this one.' }),
})

export const STATUS = [
  route({
    id: 'status.show',
    method: 'GET',
    path: '/status',
    role: 'viewer',
    summary: 'Shows the facts of the process that answers.',
    answer: status,
    example: {
      answer: {
        version: '1.0.0',
        nodeVersion: '24.0.0',
        host: 'worker-1',
        pid: 4711,
        startedAt: '2026-01-01T00:00:00.000Z',
        uptimeMs: 60_000,
        isStopping: false,
        memory: { rss: 90_000_000, heapTotal: 40_000_000, heapUsed: 30_000_000, external: 2_000_000 },
        cpuMs: { user: 900, system: 100 },
        loopDelayMs: { mean: 0.2, p99: 2.5, max: 12 },
        connections: 2,
        requests: 1,
      },
    },
  }),
] as const
