import { z } from 'zod'
import { route } from '../route.ts'
import { count, givenInstant, instant, jobId, json, name, optionalPage, pageOf } from '../values.ts'

const node = z.object({
  id: z.string(),
  host: z.string(),
  pid: count,
  doorbell: z.string().optional(),
  link: z.string().optional(),
  startedAt: instant,
  heartbeatAt: instant,
  expiresAt: instant.meta({ description: 'When its lease ends without a renewal.' }),
  isLive: z.boolean(),
  isDraining: z.boolean().meta({ description: 'Whether it begins no further runs.' }),
  running: count.meta({ description: 'The runs that it holds.' }),
  settingsVersion: count.optional(),
  ownSettingsVersion: count.optional(),
  version: z.string().optional().meta({ description: 'The version of Piko.' }),
  slots: count.optional().meta({ description: 'How many runs it executes at the same time at most.' }),
  jobs: count.optional().meta({ description: 'How many jobs its code has.' }),
  jobIds: z.array(jobId).optional().meta({ description: 'Their ids in order, at most a hundred.' }),
  load: z
    .object({ cpu: z.number().min(0), memory: count })
    .optional()
    .meta({ description: 'Processor time in processors (1 is one full processor), and memory in bytes.' }),
})
const on = name.optional().meta({ description: 'A host, or the id of a node. Default: all nodes.' })
const settings = z.object({
  version: count,
  settings: z.record(z.string(), json),
  effectiveFrom: instant.optional(),
})
const params = z.strictObject({ node: name.meta({ description: 'A host, or the id of a node.' }) })
const P = { node: 'worker-1' }
const AT = '2026-01-01T00:00:00.000Z'
const SETTINGS = { version: 3, settings: { log_level: 'debug' }, effectiveFrom: AT }
const LEADER = { nodeId: '0190b6f0-0000-7000-8000-000000000000', host: 'worker-1', epoch: 4, expiresAt: AT }

export const NODES = [
  route({
    id: 'nodes.list',
    method: 'GET',
    path: '/nodes',
    role: 'viewer',
    summary: 'Lists the processes that execute runs, with their leases.',
    query: z.strictObject(optionalPage),
    answer: pageOf(node),
    example: {
      answer: {
        items: [
          {
            ...{ id: LEADER.nodeId, host: 'worker-1', pid: 4711, startedAt: AT, heartbeatAt: AT, expiresAt: AT },
            ...{ isLive: true, isDraining: false, running: 2, version: '1.0.0', slots: 10 },
            ...{ jobs: 1, jobIds: ['sync_orders'], load: { cpu: 0.4, memory: 134_217_728 } },
          },
        ],
      },
    },
  }),
  route({
    id: 'nodes.leader',
    method: 'GET',
    path: '/leader',
    role: 'viewer',
    summary: 'Shows the node that plans.',
    description: 'If there is no leader, the answer has no `nodeId`.',
    answer: z.object({
      nodeId: z.string().optional(),
      host: z.string().optional(),
      epoch: count.meta({ description: 'Grows with each change of leader.' }),
      expiresAt: instant.optional(),
    }),
    example: { answer: LEADER },
  }),
  route({
    id: 'nodes.settings',
    method: 'GET',
    path: '/nodes/settings',
    role: 'viewer',
    summary: 'Shows the live settings of all nodes, or of one.',
    query: z.strictObject({ on }),
    answer: settings,
    example: { answer: SETTINGS },
  }),
  route({
    id: 'nodes.set',
    method: 'PUT',
    path: '/nodes/settings',
    role: 'admin',
    summary: 'Changes live settings without a restart.',
    description: 'Null: each node uses its own setting again.',
    body: z.strictObject({
      changes: z.strictObject({
        log_level: z.string().max(20).nullable().optional(),
        concurrency: z.number().int().nullable().optional(),
        poll_interval: z.string().max(40).nullable().optional(),
      }),
      on,
      effectiveFrom: givenInstant.optional(),
    }),
    answer: settings,
    example: { body: { changes: { log_level: 'debug' }, reason: 'an investigation' }, answer: SETTINGS },
  }),
  route({
    id: 'nodes.drain',
    method: 'POST',
    path: '/nodes/{node}/drain',
    role: 'operator',
    summary: 'Stops a node, or all nodes of a host, from beginning further runs.',
    description: 'Its runs continue until they end. The node stays in the list, and `nodes.resume` ends the drain.',
    params,
    answer: settings,
    example: { params: P, body: { reason: 'new kernel' }, answer: { ...SETTINGS, settings: { drained: true } } },
  }),
  route({
    id: 'nodes.resume',
    method: 'POST',
    path: '/nodes/{node}/resume',
    role: 'operator',
    summary: 'Lets a drained node begin runs again.',
    params,
    answer: settings,
    example: { params: P, body: { reason: 'the kernel is new' }, answer: { ...SETTINGS, settings: {} } },
  }),
] as const
