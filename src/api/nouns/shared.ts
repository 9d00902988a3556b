import { z } from 'zod'
import { route } from '../route.ts'
import { count, instant, json, page, pageOf } from '../values.ts'

const topic = z
  .string()
  .regex(/^[\w.:/-]{1,128}$/, { message: 'expected the topic of a shared value' })
  .meta({ description: 'The topic of a shared value.' })
const params = z.strictObject({ topic })
const P = { topic: 'fx-rates' }
const meta = {
  topic: z.string(),
  version: count,
  reason: z.string().optional(),
  nodeId: z.string().optional(),
  createdAt: instant,
}
const record = z.object({ ...meta, value: json })
const EXAMPLE = { ...P, version: 2, reason: 'sale', createdAt: '2026-01-01T00:00:00.000Z' }
const published = z.object({ topic: z.string(), version: count })

export const SHARED = [
  route({
    id: 'shared.list',
    method: 'GET',
    path: '/shared',
    role: 'viewer',
    summary: 'Lists the values that all nodes share, by topic.',
    query: z.strictObject(page),
    answer: pageOf(z.object({ ...meta, versions: count })),
    example: { answer: { items: [{ ...EXAMPLE, versions: 2 }] } },
  }),
  route({
    id: 'shared.show',
    method: 'GET',
    path: '/shared/{topic}',
    role: 'viewer',
    summary: 'Shows the newest stored version of a shared value.',
    params,
    answer: record,
    example: { params: P, answer: { ...EXAMPLE, value: { usd: 1.1 } } },
  }),
  route({
    id: 'shared.history',
    method: 'GET',
    path: '/shared/{topic}/versions',
    role: 'viewer',
    summary: 'Lists stored versions of a shared value, newest first.',
    params,
    query: z.strictObject(page),
    answer: pageOf(record),
    example: { params: P, answer: { items: [{ ...EXAMPLE, value: { usd: 1.1 } }] } },
  }),
  route({
    id: 'shared.publish',
    method: 'POST',
    path: '/shared/{topic}',
    role: 'operator',
    summary: 'Adds a version that the schema accepts.',
    status: 201,
    params,
    body: z.strictObject({ value: json }),
    answer: published,
    example: { params: P, body: { value: { usd: 1.2 }, reason: 'sale' }, answer: { ...P, version: 3 } },
  }),
  route({
    id: 'shared.rollback',
    method: 'POST',
    path: '/shared/{topic}/rollback',
    role: 'operator',
    summary: 'Adds a version with the content of an earlier one.',
    params,
    body: z.strictObject({ version: z.number().int().min(1) }),
    answer: published,
    example: { params: P, body: { version: 2, reason: 'the sale is over' }, answer: { ...P, version: 4 } },
  }),
] as const
