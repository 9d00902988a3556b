import { z } from 'zod'
import { BATCH_STATES } from '../../run/batch.ts'
import { route, type RoutedRequest } from '../route.ts'
import { count, givenInstant, id, instant, jobId, json, milliseconds, name, page, pageOf } from '../values.ts'

const MAX_ITEMS = 10_000
const MAX_PRIORITY = 32_767
const params = z.strictObject({ batchId: id })
const P = { batchId: 5 }
const job = ({ params: { batchId } }: RoutedRequest) => ({ batch: Number(batchId) })
const priority = z
  .number()
  .int()
  .min(-MAX_PRIORITY - 1)
  .max(MAX_PRIORITY)
  .optional()

const batch = z.object({
  id: count,
  jobId: z.string(),
  key: z.string().optional(),
  digest: z.string(),
  state: z.enum(BATCH_STATES),
  total: count,
  stored: count.optional(),
  onDone: z.string().optional(),
  doneRunId: count.optional(),
  queued: count,
  running: count,
  succeeded: count,
  failed: count,
  cancelled: count,
  deleted: count,
  done: count,
  ratePerSecond: z.number().optional(),
  etaMs: milliseconds.optional(),
  createdAt: instant,
  finishedAt: instant.optional(),
})
const report = batch.extend({ durations: z.record(z.string(), json).optional(), failures: z.array(json) })
const EXAMPLE = {
  ...{ id: 5, jobId: 'ship_order', key: 'ship 2026-01-01', digest: 'c0ffee', state: 'running', total: 2 },
  ...{ queued: 1, running: 1, succeeded: 0, failed: 0, cancelled: 0, deleted: 0, done: 0 },
  createdAt: '2026-01-01T00:00:00.000Z',
}

export const BATCHES = [
  route({
    id: 'batches.create',
    method: 'POST',
    path: '/jobs/{jobId}/batches',
    role: 'operator',
    summary: 'Stores many runs of a job as one batch.',
    status: 201,
    params: z.strictObject({ jobId }),
    body: z.strictObject({
      items: z
        .array(
          z.strictObject({ input: json.optional(), config: json.optional(), runAt: givenInstant.optional(), priority }),
        )
        .min(1)
        .max(MAX_ITEMS),
      key: name.optional().meta({ description: 'The same key returns the same batch.' }),
      onDone: jobId.optional().meta({ description: 'The job that runs when the batch has ended.' }),
      priority,
    }),
    answer: report,
    example: {
      params: { jobId: 'ship_order' },
      body: { items: [{ input: { id: 1 } }, { input: { id: 2 } }], key: 'ship 2026-01-01' },
      answer: { ...EXAMPLE, failures: [] },
    },
  }),
  route({
    id: 'batches.list',
    method: 'GET',
    path: '/batches',
    role: 'viewer',
    summary: 'Lists batches with their progress, newest first.',
    query: z.strictObject({ jobId: jobId.optional(), state: z.enum(BATCH_STATES).optional(), ...page }),
    answer: pageOf(batch),
    example: { query: { jobId: 'ship_order' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'batches.show',
    method: 'GET',
    path: '/batches/{batchId}',
    role: 'viewer',
    summary: 'Shows one batch with its report.',
    ...{ params, job, answer: report, example: { params: P, answer: { ...EXAMPLE, failures: [] } } },
  }),
  route({
    id: 'batches.cancel',
    method: 'POST',
    path: '/batches/{batchId}/cancel',
    role: 'operator',
    summary: 'Cancels the runs of a batch and stores no more.',
    ...{ params, job, answer: batch },
    example: { params: P, body: { reason: 'wrong orders' }, answer: { ...EXAMPLE, state: 'cancelling' } },
  }),
  route({
    id: 'batches.replay',
    method: 'POST',
    path: '/batches/{batchId}/replay',
    role: 'operator',
    summary: 'Queues the failed or cancelled runs of a batch again.',
    ...{ params, job },
    body: z.strictObject({ state: z.enum(['failed', 'cancelled']).optional(), dryRun: z.boolean().optional() }),
    answer: z.object({ count, superseded: count }),
    example: { params: P, body: { state: 'failed', dryRun: true }, answer: { count: 2, superseded: 0 } },
  }),
] as const
