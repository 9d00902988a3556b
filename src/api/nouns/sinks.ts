import { z } from 'zod'
import { route } from '../route.ts'
import { count, id, instant, jobId, name, optionalPage, page, pageOf, window } from '../values.ts'

const AT = '2026-01-01T00:00:00.000Z'
const sink = z.object({
  sink: z.string(),
  deadRows: count,
  oldestDead: instant.optional(),
  spilledRows: count,
  oldestSpilled: instant.optional(),
  hosts: z.array(z.string()),
  files: z.object({ segments: count, bytes: count, damaged: z.array(z.string()) }),
})
const row = z.object({
  id: count,
  sink: z.string(),
  route: z.string(),
  jobId: z.string(),
  runId: count,
  attempt: count,
  fence: count,
  window: window.optional(),
  batchKey: z.string(),
  place: count,
  reason: z.string(),
  content: z.string().meta({ description: 'The row as JSON, or its beginning if it is large.' }),
  isWhole: z.boolean(),
  diedAt: instant,
})
const chosen = {
  sink: name.optional(),
  jobId: jobId.optional(),
  runId: z.number().int().min(1).optional(),
  ids: z.array(z.number().int().min(1)).max(1_000).optional(),
}

export const SINKS = [
  route({
    id: 'sinks.list',
    method: 'GET',
    path: '/sinks',
    role: 'viewer',
    summary: 'Lists sinks with refused rows, rows on disk or damaged files.',
    query: z.strictObject(optionalPage),
    answer: pageOf(sink),
    example: {
      answer: {
        items: [
          {
            sink: 'OrdersSink',
            deadRows: 1,
            oldestDead: AT,
            spilledRows: 0,
            hosts: [],
            files: { segments: 0, bytes: 0, damaged: [] },
          },
        ],
      },
    },
  }),
  route({
    id: 'sinks.dead',
    method: 'GET',
    path: '/sinks/dead',
    role: 'viewer',
    summary: 'Lists rows that targets refused, oldest first.',
    query: z.strictObject({ sink: name.optional(), jobId: jobId.optional(), runId: id.optional(), ...page }),
    answer: pageOf(row),
    example: {
      query: { sink: 'OrdersSink' },
      answer: {
        items: [
          {
            ...{ id: 1, sink: 'OrdersSink', route: 'Order', jobId: 'sync_orders', runId: 17, attempt: 1, fence: 1 },
            ...{ batchKey: 'k', place: 0, reason: 'a column is too long', content: '{}', isWhole: true, diedAt: AT },
          },
        ],
      },
    },
  }),
  route({
    id: 'sinks.replay',
    method: 'POST',
    path: '/sinks/dead/replay',
    role: 'operator',
    summary: 'Delivers refused rows again.',
    timeoutMs: 120_000,
    body: z.strictObject(chosen),
    answer: z.object({ delivered: count, refused: count, left: count }),
    example: {
      body: { sink: 'OrdersSink', reason: 'the column is wider' },
      answer: { delivered: 1, refused: 0, left: 0 },
    },
  }),
  route({
    id: 'sinks.drop',
    method: 'POST',
    path: '/sinks/dead/drop',
    role: 'operator',
    summary: 'Deletes refused rows.',
    timeoutMs: 60_000,
    body: z.strictObject(chosen),
    answer: z.object({ deleted: count }),
    example: { body: { runId: 17, reason: 'a test' }, answer: { deleted: 1 } },
  }),
] as const
