import { z } from 'zod'
import { LIVE_KINDS } from '../../live/live-event.ts'
import { BACKFILL_STATES } from '../../ledger/backfill.ts'
import { BATCH_STATES } from '../../run/batch.ts'
import { RUN_STATES } from '../../run/run.ts'
import { type RoutedRequest, route } from '../route.ts'
import type { JobOf, Role } from '../actor.ts'
import { AUDIT_ROLE } from './audit.ts'
import { count, instant, jobId, listOf, wholeText } from '../values.ts'

const MAX_JOBS = 100

const WINDOW_STATES = ['pending', 'succeeded', 'failed', 'cancelled', 'skipped', 'waiting', 'stale'] as const
const common = { id: count.meta({ description: 'Its place in the order of all events.' }), at: instant }

const liveEvent = z.discriminatedUnion('kind', [
  z.object({
    ...common,
    ...{ kind: z.literal('run'), runId: count, jobId, state: z.enum(RUN_STATES), attempt: count },
    nodeId: z.string().optional(),
    runAt: z.string().optional().meta({ description: 'When a queued run is due, if not immediately.' }),
    error: z.string().optional(),
    isCancelRequested: z.boolean().optional(),
  }),
  z.object({
    ...common,
    ...{ kind: z.literal('window'), jobId, start: instant, end: instant, state: z.enum(WINDOW_STATES) },
    runId: count.optional(),
  }),
  z.object({ ...common, kind: z.literal('backfill'), backfillId: count, jobId, state: z.enum(BACKFILL_STATES) }),
  z.object({ ...common, kind: z.literal('batch'), batchId: count, jobId, state: z.enum(BATCH_STATES) }),
  z.object({
    ...{ ...common, kind: z.literal('job'), jobId },
    change: z.enum(['added', 'paused', 'resumed', 'schedule']),
  }),
  z.object({ ...common, kind: z.literal('config'), jobId, version: count }),
  z.object({
    ...{ ...common, kind: z.literal('node'), nodeId: z.string() },
    state: z.enum(['started', 'stopped', 'lost']),
    host: z.string().optional(),
  }),
  z.object({
    ...{ ...common, kind: z.literal('audit'), auditId: count, verb: z.string() },
    jobId: jobId.optional(),
    actor: z.string(),
  }),
])

const query = z.strictObject({
  after: wholeText(0)
    .optional()
    .meta({ description: 'The id of the last event that you know. Without it, you get those from now on.' }),
  kinds: listOf(z.enum(LIVE_KINDS), LIVE_KINDS.length).optional().meta({
    description:
      'Only these kinds, separated by commas. `audit` needs the role operator. Default: all that your role may read.',
  }),
  jobs: listOf(jobId, MAX_JOBS).optional().meta({ description: 'Only events of these jobs, separated by commas.' }),
})

function jobsOf({ query: { jobs } }: RoutedRequest): JobOf | undefined {
  return Array.isArray(jobs) ? { jobs: jobs as string[] } : undefined
}

function roleFor({ query: { kinds } }: RoutedRequest): Role {
  return Array.isArray(kinds) && kinds.includes('audit') ? AUDIT_ROLE : 'viewer'
}

const EXAMPLE = {
  id: 42,
  at: '2026-01-01T00:00:00.000Z',
  kind: 'run',
  runId: 17,
  jobId: 'sync_orders',
  state: 'succeeded',
  attempt: 1,
}

/** The server handles this route separately, because its response does not end by itself. */
export const LIVE_FOLLOW = route({
  id: 'live.follow',
  method: 'GET',
  path: '/events',
  role: 'viewer',
  ...{ roleFor, job: jobsOf },
  summary: 'Streams the events of the fleet as server-sent events.',
  query,
  headers: z.object({ 'last-event-id': wholeText(0).optional() }),
  description:
    'Each message has an `id` and, as `data`, an event or a signal about the stream itself: `open`, `complete`, `span_exceeded`. ' +
    'After an interruption, send the last id as `Last-Event-ID`. docs/events-api.md lists all events.',
  ...{ isStream: true, answer: z.string() },
  example: {
    query: { kinds: 'run,window' },
    answer: `event: open\nid: 41\ndata: {"kind":"open","id":41,"isComplete":true}\n\nid: 42\ndata: ${JSON.stringify(EXAMPLE)}\n\n`,
  },
})

export const LIVE = [
  route({
    id: 'live.page',
    method: 'GET',
    path: '/events/page',
    role: 'viewer',
    ...{ roleFor, job: jobsOf },
    summary: 'Returns the events of the fleet after an id.',
    description: 'For clients that cannot read the stream. Call it again with `next` as `after`.',
    query,
    answer: z.object({
      items: z.array(liveEvent),
      next: count.meta({ description: '`after` of the next call.' }),
      isExceeded: z.boolean().meta({ description: 'Whether events after `after` are missing.' }),
    }),
    example: { query: { after: 41, kinds: 'run,window' }, answer: { items: [EXAMPLE], next: 42, isExceeded: false } },
  }),
] as const
