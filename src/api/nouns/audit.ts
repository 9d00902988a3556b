import { z } from 'zod'
import { ACTOR_KINDS } from '../../access/actor.ts'
import { route } from '../route.ts'
import { givenInstant, idNumber, instant, jobId, json, name, page, pageOf } from '../values.ts'

const outcome = z.enum(['started', 'done', 'unknown']).meta({
  description:
    '`started`: in progress, or its process ended during it. `unknown`: it failed, and may have been partly done.',
})

export const change = z.object({
  id: idNumber,
  verb: z.string(),
  actor: z.object({ kind: z.enum(ACTOR_KINDS), name: z.string() }),
  jobId: jobId.optional(),
  target: z.string().optional(),
  reason: z.string().optional(),
  request: json.optional(),
  before: json.optional(),
  after: json.optional(),
  outcome,
  errorCode: z.string().optional(),
  beganAt: instant,
  endedAt: instant.optional(),
})

/** The lowest role that may read the audit, also as events of the fleet. */
export const AUDIT_ROLE = 'operator'

export const AUDIT = [
  route({
    id: 'audit.list',
    method: 'GET',
    path: '/audit',
    role: AUDIT_ROLE,
    summary: 'Lists changes, newest first: who, what, when, why, and the states before and after.',
    query: z.strictObject({
      jobId: jobId.optional(),
      verb: name.optional().meta({ description: 'Such as `jobs.pause`.' }),
      actor: name.optional().meta({ description: 'The name of a token, or `user@host`.' }),
      outcome: outcome.optional(),
      from: givenInstant.optional(),
      to: givenInstant.optional(),
      ...page,
    }),
    answer: pageOf(change),
    example: {
      query: { jobId: 'sync_orders', verb: 'jobs.pause' },
      answer: {
        items: [
          {
            ...{ id: 5, verb: 'jobs.pause', actor: { kind: 'cli', name: 'anna@office' }, jobId: 'sync_orders' },
            ...{ reason: 'the shop is closed', before: { isPaused: false }, after: { isPaused: true } },
            ...{ outcome: 'done', beganAt: '2026-01-01T00:00:00.000Z', endedAt: '2026-01-01T00:00:00.010Z' },
          },
        ],
      },
    },
  }),
] as const
