import { z } from 'zod'
import { RUN_STATES } from '../../run/run.ts'
import { ofRun, route } from '../route.ts'
import { givenDuration, givenInstant, givenMoment, id, jobId, json, page, pageOf } from '../values.ts'
import { run, RUN_EXAMPLE, runDetails } from './run-values.ts'

const MAX_KEY_LENGTH = 255
const MAX_WAIT_MS = 60_000
/** The wait, and some time to answer. */
const START_TIMEOUT_MS = MAX_WAIT_MS + 10_000
const MAX_PRIORITY = 32_767

const params = z.strictObject({ runId: id })

export const RUNS = [
  route({
    id: 'runs.start',
    method: 'POST',
    path: '/jobs/{jobId}/runs',
    role: 'operator',
    summary: 'Requests one run of a job.',
    description:
      'Answers with the queued run. With `wait`, answers when the run has ended or the wait is over; look at `state`. The end of the connection does not end the run.',
    status: 201,
    timeoutMs: START_TIMEOUT_MS,
    params: z.strictObject({ jobId }),
    headers: z.object({
      'idempotency-key': z
        .string()
        .min(1)
        .max(MAX_KEY_LENGTH)
        .optional()
        .meta({ description: 'The same as `idempotencyKey` in the body.' }),
    }),
    body: z.strictObject({
      input: json.optional(),
      config: json.optional().meta({ description: "Overrides of the job's config." }),
      window: givenMoment.optional().meta({ description: 'The start of the window; required for a job with windows.' }),
      priority: z
        .number()
        .int()
        .min(-MAX_PRIORITY - 1)
        .max(MAX_PRIORITY)
        .optional(),
      runAt: givenInstant.optional(),
      idempotencyKey: z.string().min(1).max(MAX_KEY_LENGTH).optional(),
      wait: z
        .union([z.boolean(), givenDuration])
        .optional()
        .meta({ description: 'How long to wait for the end of the run: at most `60s`. True: `30s`.' }),
    }),
    answer: run,
    example: {
      params: { jobId: 'sync_orders' },
      headers: { 'idempotency-key': 'orders of 2026-01-01' },
      body: { input: { shop: 'eu' }, priority: 5, reason: 'the import was late' },
      answer: { ...RUN_EXAMPLE, input: { shop: 'eu' }, priority: 5 },
    },
  }),
  route({
    id: 'runs.list',
    method: 'GET',
    path: '/runs',
    role: 'viewer',
    summary: 'Lists runs, newest first.',
    query: z.strictObject({
      jobId: jobId.optional(),
      state: z.enum(RUN_STATES).optional(),
      ...page,
    }),
    answer: pageOf(run),
    example: { query: { jobId: 'sync_orders', limit: 10 }, answer: { items: [RUN_EXAMPLE] } },
  }),
  route({
    id: 'runs.show',
    method: 'GET',
    path: '/runs/{runId}',
    role: 'viewer',
    summary: 'Shows one run with its attempts and steps.',
    params,
    job: ofRun,
    answer: runDetails,
    example: {
      params: { runId: 17 },
      answer: { ...RUN_EXAMPLE, attempts: [], steps: [], spilled: [], deadRows: 0 },
    },
  }),
] as const
