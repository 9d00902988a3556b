import { z } from 'zod'
import { route } from '../route.ts'
import {
  count,
  flagText,
  givenMoment,
  idNumber,
  instant,
  jobId,
  json,
  listOf,
  milliseconds,
  page,
  pageOf,
  text,
  wholeText,
} from '../values.ts'
import { ledgerWindow } from './window-values.ts'

export const job = z.object({
  id: jobId,
  description: z.string().optional(),
  state: z.enum(['active', 'paused']),
  schedule: json.meta({ description: 'The schedule in force; null if the job runs only on request.' }),
  isOverridden: z.boolean().meta({ description: 'Whether the schedule in force differs from that in code.' }),
  problem: z.string().optional().meta({ description: 'Why the stored schedule cannot be read.' }),
  windows: json.meta({ description: 'The windows option; null without windows.' }),
  dependsOn: z.array(z.string()).meta({ description: 'The jobs on which it depends.' }),
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
        rule: z
          .string()
          .meta({ description: 'Such as `schedule`, `calendar`, `dependency`, `concurrency` or `rate`.' }),
        verdict: z.enum(['passed', 'stopped', 'waiting', 'info']),
        evidence: z.string(),
        change: z
          .object({
            verb: z.string(),
            jobId: z.string().optional(),
            runId: z.number().int().optional(),
            backfillId: z.number().int().optional(),
            nodeId: z.string().optional(),
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
  hasFailed: z.boolean().meta({ description: 'Whether any of its windows has failed.' }),
})

const declared = z.object({
  concurrency: count.optional(),
  parallel: count
    .optional()
    .meta({ description: 'The maximum number of runs for windows at the same time. Backfills do not count.' }),
  perKey: count.optional(),
  rate: z.object({ limit: count, perMs: milliseconds, isKeyed: z.boolean() }).optional(),
  overlap: z.string(),
  timeoutMs: milliseconds.optional(),
  attempts: count.nullable().meta({ description: 'The maximum number of attempts of a run; null: no limit.' }),
  misfireGraceMs: milliseconds,
  priority: z.number().int(),
})
const limits = z.object({
  jobId: z.string(),
  running: count,
  queued: count,
  declared: declared.optional().meta({ description: 'Absent if the process that answers has no code for the job.' }),
  rateUse: z.object({ taken: count, key: z.string().optional() }).optional().meta({
    description: 'How many attempts count in the rate now; of a rate with a key, those of the key that has the most.',
  }),
  pools: z.array(z.object({ name: z.string(), borrowed: count, waiting: count, size: count.nullable() })).meta({
    description: 'The resources that its runs borrow, with their use on all nodes together; `size` null: no limit.',
  }),
})
const DECLARED = { overlap: 'allow', attempts: 1, misfireGraceMs: 60_000, priority: 0, concurrency: 4 }

const capped = z
  .object({ count, isExact: z.boolean() })
  .meta({ description: 'A number that is counted up to 1,000; `isExact` is false if there are more.' })
const overview = job.extend({
  lastRuns: z
    .array(
      z.object({
        id: idNumber,
        state: z.enum(['running', 'succeeded', 'failed', 'cancelled', 'skipped']),
        kind: z.enum(['scheduled', 'manual', 'backfill', 'dependency']),
        runAt: instant,
        startedAt: instant.optional(),
        finishedAt: instant.optional(),
      }),
    )
    .meta({ description: 'The newest runs that have begun or ended, newest first.' }),
  queued: capped,
  running: capped,
  failed: capped.meta({ description: 'The failed runs that were requested within the last 24 hours.' }),
  windows: json.meta({ description: 'The windows option; null without windows.' }),
  ledger: z
    .object({
      watermark: instant
        .optional()
        .meta({ description: 'All planned windows that start before it have succeeded, or were skipped.' }),
      lagMs: milliseconds.meta({ description: 'The age of the oldest window that has not succeeded; 0 if all have.' }),
      open: capped.meta({ description: 'The windows that have not succeeded and were not skipped.' }),
    })
    .nullable()
    .meta({ description: 'Null for a job without windows.' }),
})

const filter = {
  state: z.enum(['active', 'paused']).optional(),
  search: text.optional().meta({ description: 'Only jobs whose id contains this text.' }),
  hasWindows: flagText.optional().meta({ description: 'Only jobs with windows, or without.' }),
}

const MAX_IDS = 100
const NONE = { count: 0, isExact: true }
const params = z.strictObject({ jobId })
const EXAMPLE = {
  id: 'sync_orders',
  state: 'active',
  schedule: { kind: 'cron', cron: '0 * * * *', timezone: 'UTC' },
  isOverridden: false,
  windows: null,
  dependsOn: [],
  nextTick: '2026-01-01T01:00:00.000Z',
}

export const JOBS = [
  route({
    id: 'jobs.list',
    method: 'GET',
    path: '/jobs',
    role: 'viewer',
    summary: 'Lists the jobs in the database, by id.',
    query: z.strictObject({
      ...filter,
      jobIds: listOf(jobId, MAX_IDS).optional().meta({ description: 'Only these jobs, separated by commas.' }),
      ...page,
    }),
    job: ({ query }) => (Array.isArray(query['jobIds']) ? { jobs: query['jobIds'] as string[] } : undefined),
    answer: pageOf(job),
    example: { query: { state: 'active' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'jobs.overview',
    method: 'GET',
    path: '/overview',
    role: 'viewer',
    summary: 'Lists the jobs with their last runs, backlog and failures.',
    description:
      'Reads a limited number of entries of indexes for each job, however long the history is. With `order=attention`, the order may be a ' +
      'few seconds old, and it changes with the jobs, so a later page may repeat a job.',
    query: z.strictObject({
      ...filter,
      order: z.enum(['id', 'attention']).default('id').meta({
        description: '`attention`: the latest jobs first, then those with failures of the last 24 hours, then by id.',
      }),
      runs: wholeText(0, 100).default(20).meta({ description: 'The maximum number of last runs of each job.' }),
      ...page,
    }),
    answer: pageOf(overview),
    example: {
      query: { state: 'active' },
      answer: {
        items: [
          {
            ...EXAMPLE,
            lastRuns: [
              {
                ...{ id: 17, state: 'succeeded', kind: 'scheduled', runAt: '2026-01-01T00:00:00.000Z' },
                ...{ startedAt: '2026-01-01T00:00:00.020Z', finishedAt: '2026-01-01T00:00:03.020Z' },
              },
            ],
            ...{ queued: NONE, running: NONE, failed: NONE },
            ledger: { watermark: '2026-01-01T00:00:00.000Z', lagMs: 0, open: NONE },
          },
        ],
      },
    },
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
    summary: 'Shows the limits of a job, and how many of its runs are running and waiting.',
    params,
    answer: limits,
    example: {
      params: { jobId: 'sync_orders' },
      answer: { jobId: 'sync_orders', running: 1, queued: 0, declared: DECLARED, pools: [] },
    },
  }),
  route({
    id: 'jobs.why',
    method: 'GET',
    path: '/jobs/{jobId}/why',
    role: 'viewer',
    summary: 'Explains why a job did or did not run at an instant of its schedule.',
    description:
      'Without `tick`, explains the oldest window that waits for other jobs. If none waits, explains the last planned tick, or the ' +
      'oldest run that is due if the run of that tick has ended.',
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
