import { z } from 'zod'
import { BACKFILL_ONLY, BACKFILL_ORDERS, BACKFILL_STATES } from '../../ledger/backfill.ts'
import { route, type RoutedRequest } from '../route.ts'
import { count, givenMoment, id, instant, jobId, json, milliseconds, page, pageOf } from '../values.ts'

const MAX_PARALLEL = 10_000
const MAX_PRIORITY = 32_767
const params = z.strictObject({ backfillId: id })
const P = { backfillId: 3 }
const job = ({ params: { backfillId } }: RoutedRequest) => ({ backfill: Number(backfillId) })

export const backfill = z.object({
  id: count,
  jobId: z.string(),
  state: z.enum(BACKFILL_STATES),
  from: instant,
  to: instant,
  order: z.enum(BACKFILL_ORDERS),
  only: z.enum(BACKFILL_ONLY),
  parallel: count,
  priority: z.number().int(),
  config: json.optional(),
  total: count,
  planned: count,
  passed: count,
  waiting: count,
  queued: count,
  running: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  done: count,
  ratePerSecond: z.number().optional(),
  etaMs: milliseconds.optional(),
  createdAt: instant,
  finishedAt: instant.optional(),
})

export const BACKFILL_EXAMPLE = {
  ...{
    id: 3,
    jobId: 'sync_orders',
    state: 'running',
    from: '2026-03-01T00:00:00.000Z',
    to: '2026-04-01T00:00:00.000Z',
  },
  ...{ order: 'oldest', only: 'missing', parallel: 4, priority: 10_000, total: 744, planned: 8, passed: 0 },
  ...{ waiting: 0, queued: 4, running: 4, succeeded: 0, failed: 0, cancelled: 0, done: 0 },
  createdAt: '2026-04-02T00:00:00.000Z',
}

const request = {
  from: givenMoment.meta({ description: 'The first window starts here, or later.' }),
  to: givenMoment.meta({ description: 'All windows start before this.' }),
  order: z.enum(BACKFILL_ORDERS).optional(),
  only: z.enum(BACKFILL_ONLY).optional(),
  parallel: z.number().int().min(1).max(MAX_PARALLEL).optional(),
  priority: z
    .number()
    .int()
    .min(-MAX_PRIORITY - 1)
    .max(MAX_PRIORITY)
    .optional(),
  config: json.optional(),
}
const BODY = { from: '2026-03-01', to: '2026-04-01' }

const window = z.object({ start: instant, end: instant, state: z.string().optional() })

export const BACKFILLS = [
  route({
    id: 'backfills.create',
    method: 'POST',
    path: '/jobs/{jobId}/backfills',
    role: 'operator',
    summary: 'Runs the windows of a range in the background.',
    status: 201,
    params: z.strictObject({ jobId }),
    body: z.strictObject(request),
    answer: backfill,
    example: { params: { jobId: 'sync_orders' }, body: { ...BODY, reason: 'a new column' }, answer: BACKFILL_EXAMPLE },
  }),
  route({
    id: 'backfills.preview',
    method: 'POST',
    path: '/jobs/{jobId}/backfills/preview',
    role: 'viewer',
    summary: 'Shows the windows that a backfill would run.',
    description: 'Shows the first `limit` windows. `isWhole` says whether these are all.',
    isRead: true,
    params: z.strictObject({ jobId }),
    body: z.strictObject({ ...request, limit: z.number().int().min(1).max(500).optional() }),
    answer: z.object({ items: z.array(window), isWhole: z.boolean() }),
    example: {
      params: { jobId: 'sync_orders' },
      body: { ...BODY, limit: 1 },
      answer: { items: [{ start: '2026-03-01T00:00:00.000Z', end: '2026-03-01T01:00:00.000Z' }], isWhole: false },
    },
  }),
  route({
    id: 'backfills.list',
    method: 'GET',
    path: '/backfills',
    role: 'viewer',
    summary: 'Lists backfills with their progress, newest first.',
    query: z.strictObject({ jobId: jobId.optional(), state: z.enum(BACKFILL_STATES).optional(), ...page }),
    answer: pageOf(backfill),
    example: { query: { state: 'running' }, answer: { items: [BACKFILL_EXAMPLE] } },
  }),
  route({
    id: 'backfills.show',
    method: 'GET',
    path: '/backfills/{backfillId}',
    role: 'viewer',
    summary: 'Shows one backfill with its progress.',
    ...{ params, job, answer: backfill, example: { params: P, answer: BACKFILL_EXAMPLE } },
  }),
  route({
    id: 'backfills.pause',
    method: 'POST',
    path: '/backfills/{backfillId}/pause',
    role: 'operator',
    summary: 'Pauses a backfill: no node starts a run of it.',
    ...{ params, job, answer: backfill },
    example: { params: P, body: { reason: 'the database is busy' }, answer: { ...BACKFILL_EXAMPLE, state: 'paused' } },
  }),
  route({
    id: 'backfills.resume',
    method: 'POST',
    path: '/backfills/{backfillId}/resume',
    role: 'operator',
    summary: 'Resumes a paused backfill where it stopped.',
    ...{ params, job, answer: backfill, example: { params: P, body: {}, answer: BACKFILL_EXAMPLE } },
  }),
  route({
    id: 'backfills.cancel',
    method: 'POST',
    path: '/backfills/{backfillId}/cancel',
    role: 'operator',
    summary: 'Cancels the runs of a backfill and creates no more.',
    ...{ params, job, answer: backfill },
    example: { params: P, body: { reason: 'wrong range' }, answer: { ...BACKFILL_EXAMPLE, state: 'cancelling' } },
  }),
] as const
