import { z } from 'zod'
import { WINDOW_STATES } from '../../ledger/window-state.ts'
import { route } from '../route.ts'
import { BACKFILL_EXAMPLE, backfill } from './backfills.ts'
import { ledgerWindow } from './window-values.ts'
import {
  count,
  givenInstant,
  givenMoment,
  instant,
  jobId,
  json,
  listOf,
  page,
  pageOf,
  wholeText,
  window,
} from '../values.ts'

const MAX_JOBS = 100
const params = z.strictObject({ jobId })
const P = { jobId: 'sync_orders' }
const range = { from: givenMoment.optional(), to: givenMoment.optional() }
const state = z.enum(WINDOW_STATES)
const START = '2026-01-01T00:00:00.000Z'
const END = '2026-01-01T01:00:00.000Z'

const span = z.object({ start: instant, end: instant, state: z.enum([...WINDOW_STATES, 'missing']), windows: count })

const summary = z.object({
  countedFrom: instant.optional().meta({
    description:
      'The counts, and the search for missing windows, begin here. If absent, they begin with the first window.',
  }),
  jobId: z.string(),
  counts: z.record(z.string(), count),
  start: instant.optional(),
  watermark: instant.optional(),
  unrun: z.array(window),
  end: instant.optional(),
})

export const WINDOWS = [
  route({
    id: 'windows.list',
    method: 'GET',
    path: '/jobs/{jobId}/windows',
    role: 'viewer',
    summary: "Lists windows of a job's ledger, oldest first.",
    params,
    query: z.strictObject({ state: state.optional(), ...range, ...page }),
    answer: pageOf(ledgerWindow),
    example: {
      params: P,
      query: { state: 'failed', from: '2026-01-01' },
      answer: { items: [{ ...P, start: START, end: END, state: 'failed', runId: 17, attempt: 1, error: 'no answer' }] },
    },
  }),
  route({
    id: 'windows.coverage',
    method: 'GET',
    path: '/jobs/{jobId}/windows/coverage',
    role: 'viewer',
    summary: 'Shows which parts of the timeline have windows, and the holes.',
    params,
    query: z.strictObject({ ...range, ...page }),
    answer: pageOf(span),
    example: {
      params: P,
      query: { from: '2026-01-01' },
      answer: { items: [{ start: START, end: END, state: 'succeeded', windows: 1 }] },
    },
  }),
  route({
    id: 'windows.summary',
    method: 'GET',
    path: '/jobs/{jobId}/windows/summary',
    role: 'viewer',
    summary: "Shows the counts, bounds and watermark of a job's ledger.",
    params,
    query: z.strictObject({
      newest: wholeText(1, 1_000_000).default(2_000).meta({
        description: 'Limits the counts and the search for missing windows to this number of the newest windows.',
      }),
    }),
    answer: summary,
    example: { params: P, answer: { ...P, counts: { succeeded: 1 }, unrun: [] } },
  }),
  route({
    id: 'windows.grid',
    method: 'GET',
    path: '/windows/grid',
    role: 'viewer',
    summary: 'Counts the windows of many jobs by state, for each hour, day, week or month in UTC.',
    description: 'A range has at most 2,000 cells. Cells without windows are left out. Each page contains whole jobs.',
    query: z.strictObject({
      from: givenInstant,
      to: givenInstant,
      by: z.enum(['hour', 'day', 'week', 'month']).default('day'),
      jobId: jobId.optional(),
      jobIds: listOf(jobId, MAX_JOBS).optional().meta({ description: 'Only these jobs, separated by commas.' }),
      ...page,
    }),
    job: ({ query }) =>
      Array.isArray(query['jobIds'])
        ? { jobs: query['jobIds'] as string[] }
        : typeof query['jobId'] === 'string'
          ? { job: query['jobId'] }
          : undefined,
    answer: pageOf(
      z.object({
        jobId: z.string(),
        cells: z.array(z.object({ start: instant, counts: z.record(z.string(), count) })),
      }),
    ).extend({ by: z.string(), from: instant, to: instant }),
    example: {
      query: { from: '2026-01-01T00:00:00Z', to: '2026-02-01T00:00:00Z', by: 'day', limit: 50 },
      answer: {
        ...{ by: 'day', from: START, to: '2026-02-01T00:00:00.000Z' },
        items: [{ ...P, cells: [{ start: START, counts: { succeeded: 23, failed: 1 } }] }],
      },
    },
  }),
  route({
    id: 'windows.rerun',
    method: 'POST',
    path: '/jobs/{jobId}/windows/rerun',
    role: 'operator',
    summary: 'Runs windows of a range again, as a backfill.',
    status: 201,
    params,
    body: z.strictObject({ from: givenMoment, to: givenMoment, only: z.enum(['failed', 'all']).optional() }),
    answer: backfill,
    example: {
      params: P,
      body: { from: '2026-03-01', to: '2026-03-02', only: 'failed', reason: 'the shop was down' },
      answer: BACKFILL_EXAMPLE,
    },
  }),
  route({
    id: 'windows.stale',
    method: 'POST',
    path: '/jobs/{jobId}/windows/stale',
    role: 'operator',
    summary: 'Marks the succeeded windows of a range as stale.',
    description: 'The data that they wrote is no longer correct. A backfill of missing windows runs them again.',
    timeoutMs: 60_000,
    params,
    body: z.strictObject({ from: givenMoment, to: givenMoment }),
    answer: z.object({ windows: count }),
    example: {
      params: P,
      body: { from: '2026-03-01', to: '2026-03-02', reason: 'wrong prices' },
      answer: { windows: 24 },
    },
  }),
  route({
    id: 'windows.prove',
    method: 'GET',
    path: '/jobs/{jobId}/windows/proof',
    role: 'operator',
    summary: 'Proves that the windows have no gap or overlap, and that each was written once.',
    description: 'Reads every window and row of the range, so give a range that is short enough for one request.',
    timeoutMs: 120_000,
    params,
    query: z.strictObject(range),
    answer: z.record(z.string(), json),
    example: { params: P, query: { from: '2026-01-01' }, answer: { kind: 'piko.proof', isProved: true } },
  }),
] as const
