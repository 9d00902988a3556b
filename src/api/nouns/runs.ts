import { z } from 'zod'
import { RUN_LOG_LEVELS } from '../../run/run-log.ts'
import { ENDED_STATES, RUN_KINDS, RUN_STATES } from '../../run/run.ts'
import type { JobOf } from '../actor.ts'
import { ofRun, route, type RoutedRequest } from '../route.ts'
import {
  count,
  givenDuration,
  givenInstant,
  givenMoment,
  id,
  instant,
  jobId,
  json,
  milliseconds,
  name,
  page,
  pageOf,
  text,
  wholeText,
} from '../values.ts'
import { logLine, run, RUN_EXAMPLE, runDetails, TIMELINE_EXAMPLE, timelineRun } from './run-values.ts'

const MAX_KEY_LENGTH = 255
const MAX_WAIT_MS = 60_000
/** The maximum wait, plus some time for the response. */
const START_TIMEOUT_MS = MAX_WAIT_MS + 10_000
const MAX_PRIORITY = 32_767
const MAX_TIMELINE = 5_000

const BULK_TIMEOUT_MS = 120_000
const MAX_IDS = 5_000
const AT = '2026-01-01T00:00:00.000Z'

const params = z.strictObject({ runId: id })
const ids = z.array(z.number().int().min(1)).min(1).max(MAX_IDS).optional().meta({ description: 'Numbers of runs.' })
const dryRun = z.boolean().optional().meta({ description: 'Only counts, and changes nothing.' })
const capped = z.object({ count, isExact: z.boolean() })

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
      kind: z.enum(RUN_KINDS).optional(),
      from: givenInstant.optional().meta({ description: 'Only runs that were requested at this instant or later.' }),
      to: givenInstant.optional().meta({ description: 'Only runs that were requested before this instant.' }),
      error: text.min(1).optional().meta({ description: 'Only runs whose last error contains this text.' }),
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
  route({
    id: 'runs.timeline',
    method: 'GET',
    path: '/runs/timeline',
    role: 'viewer',
    summary: 'Lists the runs that waited or ran in a range of time, newest first.',
    description:
      'The runs have no inputs or outputs. If the range has more than `limit` runs, only some are returned, and `isWhole` is false.',
    query: z.strictObject({
      from: givenInstant,
      to: givenInstant,
      jobId: jobId.optional(),
      limit: wholeText(1, MAX_TIMELINE).default(1_000),
    }),
    answer: z.object({ runs: z.array(timelineRun), isWhole: z.boolean() }),
    example: {
      query: { from: AT, to: '2026-01-01T01:00:00Z', limit: 500 },
      answer: { runs: [TIMELINE_EXAMPLE], isWhole: true },
    },
  }),
  route({
    id: 'runs.logs',
    method: 'GET',
    path: '/runs/{runId}/logs',
    role: 'viewer',
    summary: "Lists log lines of a run's handler, oldest first.",
    ...{ params, job: ofRun },
    query: z.strictObject({ attempt: wholeText(0).optional(), level: z.enum(RUN_LOG_LEVELS).optional(), ...page }),
    answer: pageOf(logLine),
    example: {
      params: { runId: 17 },
      query: { level: 'warn' },
      answer: { items: [{ id: 1, runId: 17, fence: 1, attempt: 1, at: AT, level: 'warn', message: 'no answer' }] },
    },
  }),
  route({
    id: 'runs.cancel',
    method: 'POST',
    path: '/runs/cancel',
    role: 'operator',
    summary: 'Cancels all matching runs that have not ended.',
    description:
      'Give `ids`, `jobId` or `state`. With `dryRun`, it only counts. To cancel one run, use `POST /runs/{runId}/cancel`.',
    timeoutMs: BULK_TIMEOUT_MS,
    job: ofMany,
    body: z.strictObject({
      ...{ ids, jobId: jobId.optional(), state: z.enum(['queued', 'running']).optional(), dryRun },
    }),
    answer: z.object({ cancelled: count, requested: count }),
    example: {
      body: { jobId: 'sync_orders', state: 'queued', dryRun: true },
      answer: { cancelled: 3, requested: 0 },
    },
  }),
  route({
    id: 'runs.cancelOne',
    method: 'POST',
    path: '/runs/{runId}/cancel',
    role: 'operator',
    summary: 'Cancels one run on any node.',
    description: 'A queued run ends immediately. The node of a running one ends it within two seconds.',
    ...{ params, job: ofRun, answer: run },
    example: {
      params: { runId: 17 },
      body: { reason: 'wrong input' },
      answer: { ...RUN_EXAMPLE, state: 'cancelled', finishedAt: AT },
    },
  }),
  route({
    id: 'runs.replay',
    method: 'POST',
    path: '/runs/replay',
    role: 'operator',
    summary: 'Queues all matching failed or cancelled runs again.',
    description:
      'Give `ids`, `jobId` or `state`. With `dryRun`, it only counts. To replay one run, use `POST /runs/{runId}/replay`.',
    timeoutMs: BULK_TIMEOUT_MS,
    job: ofMany,
    body: z.strictObject({
      ...{ ids, jobId: jobId.optional(), state: z.enum(['failed', 'cancelled']).optional(), dryRun },
      since: givenInstant.optional().meta({ description: 'Only runs that ended at this instant or later.' }),
      until: givenInstant.optional().meta({ description: 'Only runs that ended before this instant.' }),
      error: text.min(1).optional().meta({ description: 'Only runs whose error contains this text.' }),
      from: name.optional().meta({ description: 'Forgets this step, and the steps that finished after it.' }),
    }),
    answer: z.object({ count, superseded: count, forgotten: count.optional() }),
    example: {
      body: { jobId: 'sync_orders', state: 'failed', error: 'ETIMEDOUT', dryRun: true },
      answer: { count: 500, superseded: 0 },
    },
  }),
  route({
    id: 'runs.replayOne',
    method: 'POST',
    path: '/runs/{runId}/replay',
    role: 'operator',
    summary: 'Queues one failed or cancelled run again.',
    ...{ params, job: ofRun, answer: run },
    example: { params: { runId: 17 }, body: { reason: 'the shop is up again' }, answer: RUN_EXAMPLE },
  }),
  route({
    id: 'runs.prune',
    method: 'POST',
    path: '/runs/prune',
    role: 'admin',
    summary: 'Deletes ended runs with their attempts and log lines.',
    timeoutMs: BULK_TIMEOUT_MS,
    body: z.strictObject({
      olderThan: givenDuration,
      states: z.array(z.enum(ENDED_STATES)).min(1).optional(),
      jobId: jobId.optional(),
      dryRun,
    }),
    answer: z.object({ deleted: count }),
    example: { body: { olderThan: '90d', states: ['succeeded'], dryRun: true }, answer: { deleted: 0 } },
  }),
  route({
    id: 'runs.summary',
    method: 'GET',
    path: '/metrics/summary',
    role: 'viewer',
    summary: 'Shows the work of all nodes: runs by state, the queue, lateness and the lag of windows.',
    description: 'Large numbers are counted up to 10,000; then `isExact` is false.',
    answer: z.object({
      ...{ queued: capped, due: capped, running: capped, failed: capped },
      oldestDueMs: milliseconds.optional(),
      recent: z.object({ since: instant.optional(), states: z.record(z.string(), count) }),
      lateness: z.object({ runs: count, p50Ms: milliseconds, p95Ms: milliseconds, maxMs: milliseconds }),
      windows: z.array(z.object({ jobId: z.string(), oldestOpen: instant.optional(), lagMs: milliseconds })),
    }),
    example: {
      answer: {
        ...{ queued: exactly(3), due: exactly(1), running: exactly(2), failed: exactly(0), oldestDueMs: 800 },
        recent: { since: AT, states: { succeeded: 40 } },
        lateness: { runs: 42, p50Ms: 4, p95Ms: 30, maxMs: 800 },
        windows: [{ jobId: 'sync_orders', oldestOpen: AT, lagMs: 60_000 }],
      },
    },
  }),
] as const

function exactly(number: number): { count: number; isExact: boolean } {
  return { count: number, isExact: true }
}

function ofMany({ body }: RoutedRequest): JobOf | undefined {
  return typeof body['jobId'] === 'string' ? { job: body['jobId'] } : undefined
}
