import { z } from 'zod'
import { route } from '../route.ts'
import { allOf, count, instant, json, name, optionalPage, page, pageOf } from '../values.ts'

const AT = '2026-01-01T00:00:00.000Z'

const limit = z.object({ name: z.string(), taken: count, lastAt: instant.optional(), expiresAt: instant })
const lock = z.object({ name: z.string(), fence: count, expiresAt: instant })
const resource = z
  .object({
    name: z.string(),
    nodeId: z.string(),
    host: z.string(),
    size: z.number().nullable(),
    borrowed: count,
    waiting: count,
  })
  .loose()
const cacheFigures = z.object({ name: z.string(), entries: count, stale: count, bytes: count, other: count })
const cacheName = z.strictObject({ cache: name })
const FIGURES = { name: 'prices', entries: 12, stale: 0, bytes: 4_096, other: 0 }

const service = z.object({
  id: z.string(),
  name: z.string(),
  state: z.string(),
  restarts: count,
  kind: z.string(),
  path: z.string().meta({ description: 'The names from the root to this service.' }),
  canRestart: z.boolean().meta({ description: 'Whether `services.restart` accepts it.' }),
})
const place = {
  nodeId: z.string().optional().meta({ description: 'Absent for a process that executes no runs.' }),
  host: z.string(),
}
const on = name.optional().meta({ description: 'A host, or the id of a node.' })
const PRICES = { name: 'Prices', state: 'running', restarts: 0, kind: 'service', path: 'Piko/Prices', canRestart: true }
const NODE = { nodeId: '0190b6f0-0000-7000-8000-000000000000', host: 'worker-1' }
const edge = z.object({ from: z.string(), to: z.string(), kind: z.enum(['child', 'depends']) })

export const LIMITS = [
  route({
    id: 'limits.list',
    method: 'GET',
    path: '/limits',
    role: 'viewer',
    summary: 'Lists the rate limits that all nodes share, by name.',
    query: z.strictObject(page),
    answer: pageOf(limit),
    example: { answer: { items: [{ name: 'shop-api', taken: 3, lastAt: AT, expiresAt: AT }] } },
  }),
  route({
    id: 'limits.reset',
    method: 'POST',
    path: '/limits/{limit}/reset',
    role: 'operator',
    summary: 'Resets the count of a limit.',
    params: z.strictObject({ limit: name }),
    answer: z.object({ wasCounted: z.boolean() }),
    example: { params: { limit: 'shop-api' }, body: { reason: 'a wrong rate' }, answer: { wasCounted: true } },
  }),
] as const

export const LOCKS = [
  route({
    id: 'locks.list',
    method: 'GET',
    path: '/locks',
    role: 'viewer',
    summary: 'Lists the locks that are held now, by name.',
    query: z.strictObject(page),
    answer: pageOf(lock),
    example: { answer: { items: [{ name: 'ledger-export', fence: 7, expiresAt: AT }] } },
  }),
] as const

export const RESOURCES = [
  route({
    id: 'resources.list',
    method: 'GET',
    path: '/resources',
    role: 'viewer',
    summary: 'Lists the resources of all live nodes, with their figures.',
    query: z.strictObject(optionalPage),
    answer: pageOf(resource),
    example: {
      answer: {
        items: [{ name: 'Warehouse', nodeId: 'n1', host: 'worker-1', size: 50, borrowed: 3, waiting: 0 }],
      },
    },
  }),
] as const

export const CACHES = [
  route({
    id: 'cache.list',
    method: 'GET',
    path: '/caches',
    role: 'viewer',
    summary: 'Lists the caches with entries in the database, by name.',
    query: z.strictObject(page),
    answer: pageOf(cacheFigures),
    example: { answer: { items: [FIGURES] } },
  }),
  route({
    id: 'cache.stats',
    method: 'GET',
    path: '/caches/{cache}',
    role: 'viewer',
    summary: 'Shows the figures of one cache.',
    params: cacheName,
    answer: z.object({ stored: cacheFigures, here: z.record(z.string(), json).optional() }),
    example: { params: { cache: 'prices' }, answer: { stored: FIGURES } },
  }),
  route({
    id: 'cache.clear',
    method: 'POST',
    path: '/caches/{cache}/clear',
    role: 'operator',
    summary: 'Deletes the entries of a cache, or those with a prefix.',
    params: cacheName,
    body: z.strictObject({ prefix: z.string().max(512).optional() }),
    answer: z.object({ deleted: count }),
    example: { params: { cache: 'prices' }, body: { prefix: 'eu:', reason: 'wrong prices' }, answer: { deleted: 12 } },
  }),
] as const

export const SERVICES = [
  route({
    id: 'services.tree',
    method: 'GET',
    path: '/services',
    role: 'viewer',
    summary: 'Shows the services of one process, with their states and dependencies.',
    description: 'Without `on`: those of the process that handles the request.',
    query: z.strictObject({ on }),
    answer: z.object({ ...place, nodes: z.array(service), edges: z.array(edge) }),
    example: { answer: { ...NODE, nodes: [{ id: 's1', ...PRICES }], edges: [] } },
  }),
  route({
    id: 'services.list',
    method: 'GET',
    path: '/services/all',
    role: 'viewer',
    summary: 'Lists the services of all live nodes, node by node.',
    description: "Without `on`, leaves out nodes that can't be reached over their links.",
    query: z.strictObject({ on, service: name.optional().meta({ description: 'A path or a name.' }) }),
    answer: allOf(z.object({ ...place, ...service.omit({ id: true }).shape })),
    example: { answer: { items: [{ ...NODE, ...PRICES }] } },
  }),
  route({
    id: 'services.restart',
    method: 'POST',
    path: '/services/{service}/restart',
    role: 'operator',
    summary: 'Restarts a service of an app that has a supervisor, as after a crash.',
    description:
      'Without `on`: on every live node that has it, one after another. Waits up to 3 s on each node. A state other than `running` means that the restart continues, or has failed for the reason in `problem`.',
    params: z.strictObject({
      service: name.meta({ description: 'Its path, or its name if no other service has it.' }),
    }),
    body: z.strictObject({ on }),
    answer: allOf(
      z.object({
        ...place,
        service: z.string(),
        state: z.string(),
        restarts: count.optional().meta({ description: 'Absent if the node could not be asked.' }),
        problem: z.string().optional(),
      }),
    ),
    example: {
      params: { service: 'Prices' },
      body: { reason: 'its feed is stuck' },
      answer: { items: [{ ...NODE, service: 'Piko/Prices', state: 'running', restarts: 1 }] },
    },
  }),
] as const
