import { z } from 'zod'
import { route } from '../route.ts'
import {
  allOf,
  count,
  idNumber,
  instant,
  jobId,
  milliseconds,
  name,
  optionalPage,
  page,
  pageOf,
  window,
} from '../values.ts'

const AT = '2026-01-01T00:00:00.000Z'
const state = z.enum(['due', 'sent', 'dead']).meta({
  description: '`due`: it is waiting, or is being delivered. `dead`: it could not be delivered within a day.',
})
const message = z.object({
  id: idNumber,
  channel: z.string().meta({ description: '`job:<id>` or `app` for hooks, `notifier:<name>`.' }),
  kind: z.enum(['failure', 'late', 'recovered', 'test']),
  state,
  jobs: z.array(z.string()).meta({ description: 'At most 50 jobs.' }),
  jobCount: count,
  count,
  tries: count,
  error: z.string().optional().meta({ description: 'Why the last try failed.' }),
  createdAt: instant,
  dueAt: instant,
  sentAt: instant.optional(),
})
const alert = z.object({
  jobId,
  problem: z.enum(['failure', 'late']),
  count,
  openedAt: instant,
  lastAt: instant,
  runId: count.optional(),
  error: z.string().optional(),
  window: window.optional(),
  tick: instant.optional().meta({ description: 'Of a late job without windows: the tick whose run is late.' }),
  toldAt: instant.optional(),
  recoveredAt: instant.optional(),
})

export const NOTIFY = [
  route({
    id: 'notify.list',
    method: 'GET',
    path: '/notify/messages',
    role: 'viewer',
    summary: 'Lists messages to hooks and notifiers, newest first.',
    query: z.strictObject({ state: state.optional(), ...page }),
    answer: pageOf(message),
    example: {
      query: { state: 'dead' },
      answer: {
        items: [
          {
            ...{ id: 3, channel: 'notifier:slack', kind: 'failure', state: 'dead', jobs: ['sync_orders'], jobCount: 1 },
            ...{ count: 500, tries: 290, error: 'https://hooks.slack.com answered 404', createdAt: AT, dueAt: AT },
          },
        ],
      },
    },
  }),
  route({
    id: 'notify.alerts',
    method: 'GET',
    path: '/notify/alerts',
    role: 'viewer',
    summary: 'Lists jobs that are failing or late, until people have been notified of the recovery.',
    query: z.strictObject(optionalPage),
    answer: pageOf(alert),
    example: {
      answer: {
        items: [
          { jobId: 'sync_orders', problem: 'failure', count: 500, openedAt: AT, lastAt: AT, runId: 17, toldAt: AT },
        ],
      },
    },
  }),
  route({
    id: 'notify.test',
    method: 'POST',
    path: '/notify/test',
    role: 'operator',
    summary: 'Sends a test message to each notifier of the node that handles the request.',
    isRead: true,
    timeoutMs: 620_000,
    body: z.strictObject({ to: name.optional() }),
    answer: allOf(
      z.object({ notifier: z.string(), isOk: z.boolean(), error: z.string().optional(), durationMs: milliseconds }),
    ),
    example: { body: { to: 'slack' }, answer: { items: [{ notifier: 'slack', isOk: true, durationMs: 120 }] } },
  }),
] as const
