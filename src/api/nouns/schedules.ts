import { z } from 'zod'
import { route } from '../route.ts'
import { givenMoment, instant, jobId, json, jsonText, page, pageOf, wholeText } from '../values.ts'

const MAX_TICKS = 1_000
const MAX_SCHEDULE = 10_000
const params = z.strictObject({ jobId })
const P = { jobId: 'sync_orders' }
const CRON = { kind: 'cron', cron: '0 6 * * *', timezone: 'Europe/Berlin' } as const

const schedule = z.object({
  jobId: z.string(),
  schedule: json.meta({ description: 'The schedule in force; null if the job runs only on request.' }),
  codeSchedule: json.meta({ description: 'The schedule in code; null if there is none.' }),
  isOverridden: z.boolean(),
  isPaused: z.boolean(),
  problem: z.string().optional(),
  nextTick: instant.optional(),
})
const EXAMPLE = { ...P, schedule: CRON, codeSchedule: CRON, isOverridden: false, isPaused: false }

const tick = z.object({
  at: instant,
  local: z.string(),
  offset: z.string(),
  transition: z.enum(['gap', 'overlap']).nullable(),
})
const preview = z.object({
  ticks: z.array(tick),
  windows: z.array(z.object({ start: instant, end: instant, due: instant })),
})

export const SCHEDULES = [
  route({
    id: 'schedules.list',
    method: 'GET',
    path: '/schedules',
    role: 'viewer',
    summary: 'Lists the schedules of all jobs, by job.',
    query: z.strictObject({
      isOverridden: z.enum(['true', 'false']).optional().meta({ description: 'Whether a schedule is overridden.' }),
      ...page,
    }),
    answer: pageOf(schedule),
    example: { query: { isOverridden: 'false' }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'schedules.set',
    method: 'PUT',
    path: '/jobs/{jobId}/schedule',
    role: 'operator',
    summary: 'Overrides the schedule of a job, or disables it.',
    description: 'Takes effect on all nodes within one poll, and survives deploys until it is cleared.',
    params,
    body: z.strictObject({
      schedule: z
        .union([z.record(z.string(), json), z.null()])
        .meta({ description: 'A schedule; null: the job runs only on request. docs/schedules.md has all kinds.' }),
    }),
    answer: schedule,
    example: {
      params: P,
      body: { schedule: CRON, reason: 'the shop opens later' },
      answer: { ...EXAMPLE, isOverridden: true },
    },
  }),
  route({
    id: 'schedules.clear',
    method: 'DELETE',
    path: '/jobs/{jobId}/schedule',
    role: 'operator',
    summary: 'Removes the override, so that the schedule in code is in force again.',
    params,
    answer: schedule,
    example: { params: P, query: { reason: 'back to normal' }, answer: EXAMPLE },
  }),
  route({
    id: 'schedules.preview',
    method: 'GET',
    path: '/jobs/{jobId}/ticks',
    role: 'viewer',
    summary: 'Shows the next ticks of a job, with the windows due then.',
    params,
    query: z.strictObject({
      from: givenMoment.optional(),
      count: wholeText(1, MAX_TICKS).default(10),
      schedule: jsonText(MAX_SCHEDULE)
        .optional()
        .meta({ description: 'A schedule as JSON, to see its ticks before it is set. Default: the one in force.' }),
    }),
    answer: preview,
    example: {
      params: P,
      query: { from: '2026-03-01', count: 1 },
      answer: {
        ticks: [{ at: '2026-03-01T05:00:00.000Z', local: '2026-03-01T06:00:00', offset: '+01:00', transition: null }],
        windows: [],
      },
    },
  }),
] as const
