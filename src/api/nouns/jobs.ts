import { z } from 'zod'
import { route } from '../route.ts'
import { count, givenMoment, instant, jobId, json, milliseconds, page, pageOf, text } from '../values.ts'
import { ledgerWindow } from './window-values.ts'

export const job = z.object({
  id: jobId,
  description: z.string().optional(),
  state: z.enum(['active', 'paused']),
  schedule: json.meta({ description: 'The schedule in force; null if the job runs only on request.' }),
  isOverridden: z.boolean().meta({ description: 'Whether the schedule in force differs from that in code.' }),
  problem: z.string().optional().meta({ description: 'Why the stored schedule cannot be read.' }),
  windows: json.meta({ description: 'The windows option; null without windows.' }),
  nextTick: instant.optional(),
})

const why = z.object({
  sentence: z.string(),
  tick: instant.optional(),
  runId: z.number().int().optional(),
  takenAs: z.enum(['start', 'tick', 'inside']).optional(),
  steps: z
    .array(
      z.object({
        rule: z.string().meta({ description: 'Such as `schedule`, `pause`, `dependency` or `limits`.' }),
        verdict: z.enum(['passed', 'stopped', 'waiting', 'info']),
        evidence: z.string(),
        change: z
          .object({
            verb: z.string(),
            jobId: z.string().optional(),
            runId: z.number().int().optional(),
            backfillId: z.number().int().optional(),
            from: instant.optional(),
            to: instant.optional(),
          })
          .optional()
          .meta({ description: 'The operation that would make the rule decide otherwise.' }),
      }),
    )
    .meta({ description: 'What each rule decided, in order, until one of them stopped it.' }),
})

const related = z.object({
  id: z.string(),
  state: z.enum(['active', 'paused']),
  latest: ledgerWindow.optional().meta({ description: 'Its newest window.' }),
  hasFailed: z.boolean().meta({ description: 'Whether some window of it has failed.' }),
})

const declared = z.object({
  concurrency: count.optional(),
  parallel: count.optional().meta({ description: 'The most runs for windows at the same time, without backfills.' }),
  perKey: count.optional(),
  rate: z.object({ limit: count, perMs: milliseconds, isKeyed: z.boolean() }).optional(),
  overlap: z.string(),
  timeoutMs: milliseconds.optional(),
  attempts: count.nullable().meta({ description: 'The most attempts of a run; null: without end.' }),
  misfireGraceMs: milliseconds,
  priority: z.number().int(),
})
const limits = z.object({
  jobId: z.string(),
  running: count,
  queued: count,
  declared: declared.optional().meta({ description: 'Absent if the process that answers has no code for the job.' }),
})
const DECLARED = { overlap: 'allow', attempts: 1, misfireGraceMs: 60_000, priority: 0, concurrency: 4 }

const params = z.strictObject({ jobId })
const EXAMPLE = {
  id: 'sync_orders',
  state: 'active',
  schedule: { kind: 'cron', cron: '0 * * * *', timezone: 'UTC' },
  isOverridden: false,
  windows: null,
  nextTick: '2026-01-01T01:00:00.000Z',
}

export const JOBS = [
  route({
    id: 'jobs.list',
    method: 'GET',
    path: '/jobs',
    role: 'viewer',
    summary: 'Lists the jobs that the database knows, by id.',
    query: z.strictObject({
      state: z.enum(['active', 'paused']).optional(),
      search: text.optional().meta({ description: 'Only jobs whose id contains this text.' }),
      ...page,
    }),
    answer: pageOf(job),
    example: { query: { state: 'active' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'jobs.show',
    method: 'GET',
    path: '/jobs/{jobId}',
    role: 'viewer',
    summary: 'Shows one job.',
    params,
    answer: job,
    example: { params: { jobId: 'sync_orders' }, answer: EXAMPLE },
  }),
  route({
    id: 'jobs.pause',
    method: 'POST',
    path: '/jobs/{jobId}/pause',
    role: 'operator',
    summary: 'Pauses the schedule of a job on all nodes.',
    description: 'Queued and running runs continue, and the job can still be run by hand.',
    params,
    answer: job,
    example: {
      params: { jobId: 'sync_orders' },
      body: { reason: 'the shop is closed' },
      answer: { ...EXAMPLE, state: 'paused' },
    },
  }),
  route({
    id: 'jobs.resume',
    method: 'POST',
    path: '/jobs/{jobId}/resume',
    role: 'operator',
    summary: 'Continues the schedule of a paused job.',
    params,
    answer: job,
    example: { params: { jobId: 'sync_orders' }, answer: EXAMPLE },
  }),
  route({
    id: 'jobs.dependencies',
    method: 'GET',
    path: '/jobs/{jobId}/dependencies',
    role: 'viewer',
    summary:
      'Shows the jobs that a job depends on and those that depend on it, with the state of their newest windows.',
    description: 'At most 60 jobs: the job itself, then the nearest ones. `isWhole` says whether these are all.',
    params,
    answer: z.object({
      jobs: z.array(related),
      edges: z.array(z.object({ from: z.string(), to: z.string() })).meta({ description: '`to` depends on `from`.' }),
      isWhole: z.boolean(),
    }),
    example: {
      params: { jobId: 'sync_orders' },
      answer: { jobs: [{ id: 'sync_orders', state: 'active', hasFailed: false }], edges: [], isWhole: true },
    },
  }),
  route({
    id: 'jobs.limits',
    method: 'GET',
    path: '/jobs/{jobId}/limits',
    role: 'viewer',
    summary: 'Shows what limits the runs of a job, and how many run and wait now.',
    params,
    answer: limits,
    example: {
      params: { jobId: 'sync_orders' },
      answer: { jobId: 'sync_orders', running: 1, queued: 0, declared: DECLARED },
    },
  }),
  route({
    id: 'jobs.why',
    method: 'GET',
    path: '/jobs/{jobId}/why',
    role: 'viewer',
    summary: 'Explains why a job did or did not run at an instant of its schedule.',
    description: 'Without `tick`, it explains the last planned tick.',
    params,
    query: z.strictObject({ tick: givenMoment.optional() }),
    answer: why,
    example: {
      params: { jobId: 'sync_orders' },
      query: { tick: '2026-01-01T01:00:00Z' },
      answer: {
        sentence: 'it never ran',
        tick: '2026-01-01T01:00:00.000Z',
        steps: [
          { rule: 'schedule', verdict: 'passed', evidence: 'it fires at 2026-01-01T01:00:00Z' },
          {
            rule: 'pause',
            verdict: 'stopped',
            evidence: 'the job is paused: no tick starts a run',
            change: { verb: 'jobs.resume', jobId: 'sync_orders' },
          },
        ],
      },
    },
  }),
] as const
