import { z } from 'zod'
import { route } from '../route.ts'
import { count, givenInstant, id, instant, jobId, json, page, pageOf, wholeText } from '../values.ts'

const params = z.strictObject({ jobId })
const P = { jobId: 'sync_orders' }
const config = z.record(z.string(), json).meta({ description: "The job's config; its schema checks it." })
const version = z.object({
  jobId: z.string(),
  version: count,
  config: json,
  effectiveFrom: instant,
  createdAt: instant,
})
const EXAMPLE = {
  ...P,
  version: 2,
  config: { shop: 'us' },
  effectiveFrom: '2026-01-01T00:00:00.000Z',
  createdAt: '2026-01-01T00:00:00.000Z',
}

const node = z.object({
  nodeId: z.string(),
  host: z.string(),
  pid: count,
  version: count.optional(),
  refused: json.optional().meta({ description: 'The version that the node refused, and why.' }),
})
const inForce = z.object({
  jobId: z.string(),
  version: count.meta({ description: '0: no version is stored, so the defaults of the schema are in force.' }),
  config: json.optional(),
  effectiveFrom: instant.optional(),
  createdAt: instant.optional(),
  nodes: z.array(node),
})

const change = z.object({
  path: z.string().meta({ description: 'The changed value, such as `/shop`, as a JSON pointer.' }),
  before: json.optional(),
  after: json.optional(),
})

export const CONFIGS = [
  route({
    id: 'configs.show',
    method: 'GET',
    path: '/jobs/{jobId}/config',
    role: 'viewer',
    summary: "Shows the version of a job's config in force, and the nodes that use it.",
    params,
    answer: inForce,
    example: { params: P, answer: { ...EXAMPLE, nodes: [] } },
  }),
  route({
    id: 'configs.history',
    method: 'GET',
    path: '/jobs/{jobId}/config/versions',
    role: 'viewer',
    summary: "Lists the versions of a job's config, newest first.",
    params,
    query: z.strictObject(page),
    answer: pageOf(version),
    example: { params: P, query: { limit: 10 }, answer: { items: [EXAMPLE] } },
  }),
  route({
    id: 'configs.diff',
    method: 'GET',
    path: '/jobs/{jobId}/config/diff',
    role: 'viewer',
    summary: "Compares two versions of a job's config, value by value.",
    params,
    query: z.strictObject({
      from: wholeText(0).optional().meta({ description: 'Default: the version before `to`. 0: no config.' }),
      to: id.optional().meta({ description: 'Default: the newest version.' }),
    }),
    answer: z.object({ jobId: z.string(), from: count, to: count, changes: z.array(change) }),
    example: {
      params: P,
      query: { from: 1, to: 2 },
      answer: { ...P, from: 1, to: 2, changes: [{ path: '/shop', before: 'eu', after: 'us' }] },
    },
  }),
  route({
    id: 'configs.set',
    method: 'PUT',
    path: '/jobs/{jobId}/config',
    role: 'operator',
    summary: "Adds a version of a job's config. All nodes use it within two polls.",
    params,
    body: z.strictObject({ config, effectiveFrom: givenInstant.optional() }),
    answer: version.extend({ warnings: z.array(z.string()) }),
    example: {
      params: P,
      body: { config: { shop: 'us' }, reason: 'we moved' },
      answer: { ...EXAMPLE, warnings: [] },
    },
  }),
  route({
    id: 'configs.rollback',
    method: 'POST',
    path: '/jobs/{jobId}/config/rollback',
    role: 'operator',
    summary: 'Adds a version with the content of an earlier one.',
    params,
    body: z.strictObject({ version: z.number().int().min(1) }),
    answer: version,
    example: { params: P, body: { version: 1, reason: 'the new shop fails' }, answer: { ...EXAMPLE, version: 3 } },
  }),
] as const
