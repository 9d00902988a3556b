import { cursorOf } from '../../../src/api/cursor.ts'
import type { ScaleStore } from './scale-store.ts'

/** A reading request, by the path below `/api/v1`. */
export interface ScaleRequest {
  readonly name: string
  readonly path: string
}

type Query = Readonly<Record<string, string | number | undefined>>

const DAY_MS = 86_400_000
/** The page that a person hardly reaches. */
const DEEP_PAGE = 10_000
const LIMIT = 100

/** Every list, filter, grid and summary of the API on a generated store: first pages, and pages that are as deep as possible. */
export function scaleRequests(store: ScaleStore): ScaleRequest[] {
  const { busyJob, rareJob, fullRun, runs, end } = store
  const ago = (days: number): string => new Date(end.getTime() - days * DAY_MS).toISOString()
  const many = Math.max(1_000, Math.floor(runs / 40))
  const get = (name: string, path: string, query: Query = {}): ScaleRequest => {
    const given = Object.entries(query).filter(([, value]) => value !== undefined)
    const search = new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)]))
    return { name, path: given.length === 0 ? path : `${path}?${search.toString()}` }
  }
  /** The first page, and the one at a cursor. */
  const paged = (name: string, path: string, deep: string, query: Query = {}): ScaleRequest[] => [
    get(`${name}, first page`, path, { ...query, limit: LIMIT }),
    get(`${name}, deep page`, path, { ...query, limit: LIMIT, cursor: deep }),
  ]
  const byId = (id: number): string => cursorOf({ id: Math.max(1, Math.floor(id)) })
  const byName = (name: string): string => cursorOf({ name })
  /** The cursor before an id, newest first. */
  const deepRun = byId(runs - Math.min(DEEP_PAGE * LIMIT, runs / 2))
  const job = `/jobs/${busyJob}`
  return [
    ...paged('jobs', '/jobs', byName('job-0000300')),
    get('jobs by text', '/jobs', { search: '33', limit: LIMIT }),
    ...paged('overview', '/overview', byName('job-0000300')),
    ...paged('overview by attention', '/overview', byName('job-0000300'), { order: 'attention' }),
    get('job', job),
    get('dependencies of a job', `${job}/dependencies`),
    get('limits of a job', `${job}/limits`),
    get('why', `${job}/why`),
    ...paged('schedules', '/schedules', byName('job-0000300')),
    get('ticks', `${job}/ticks`),
    ...paged('config versions', `${job}/config/versions`, byId(500)),
    ...paged('runs', '/runs', deepRun),
    ...paged('runs of a job', '/runs', deepRun, { jobId: busyJob }),
    ...paged('runs of a rare job', '/runs', deepRun, { jobId: rareJob }),
    ...['queued', 'running', 'succeeded', 'failed', 'cancelled', 'skipped'].flatMap((state) => [
      ...paged(`runs ${state}`, '/runs', deepRun, { state }),
      ...paged(`runs ${state} of a job`, '/runs', deepRun, { state, jobId: busyJob }),
      get(`runs ${state} of a rare job`, '/runs', { state, jobId: rareJob, limit: LIMIT }),
    ]),
    ...paged('runs of a kind', '/runs', deepRun, { kind: 'backfill' }),
    ...paged('runs of a week', '/runs', deepRun, { from: ago(21), to: ago(14) }),
    ...paged('runs with an error', '/runs', deepRun, { state: 'failed', error: 'ETIMEDOUT' }),
    get('runs with an unknown error', '/runs', { error: 'no such text', limit: LIMIT }),
    get('run', `/runs/${fullRun}`),
    ...paged('log lines', `/runs/${fullRun}/logs`, byId(many)),
    get('log lines of a level', `/runs/${fullRun}/logs`, { level: 'error', limit: LIMIT }),
    get('timeline of an hour', '/runs/timeline', {
      from: ago(10),
      to: new Date(end.getTime() - 10 * DAY_MS + 3_600_000).toISOString(),
    }),
    get('summary', '/metrics/summary'),
    ...paged('windows', `${job}/windows`, cursorOf({ start: end.getTime() - DEEP_PAGE * 600_000 })),
    get('failed windows', `${job}/windows`, { state: 'failed', limit: LIMIT }),
    get('stale windows', `${job}/windows`, { state: 'stale', limit: LIMIT }),
    get('coverage', `${job}/windows/coverage`, { from: ago(30), limit: LIMIT }),
    get('window summary', `${job}/windows/summary`),
    ...(['hour', 'day', 'week', 'month'] as const).map((by) =>
      get(`grid by ${by}`, '/windows/grid', { by, from: ago(by === 'hour' ? 2 : 60), to: ago(0), limit: 50 }),
    ),
    ...paged('backfills', '/backfills', byId(many / 2)),
    ...paged('backfills of a job', '/backfills', byId(many / 2), { jobId: busyJob }),
    ...paged('failed backfills', '/backfills', byId(many / 2), { state: 'failed' }),
    ...paged('batches', '/batches', byId(many / 2)),
    ...paged('batches of a job', '/batches', byId(many / 2), { jobId: busyJob }),
    ...paged('items', `/runs/${fullRun}/items`, byId(many * 2)),
    ...paged('dead items', `/runs/${fullRun}/items`, byId(many * 2), { state: 'dead' }),
    ...paged('items of a lane', `/runs/${fullRun}/items`, byId(1), { lane: 'host-0000005' }),
    ...paged('lanes', '/lanes', byId(many / 2)),
    get('nodes', '/nodes'),
    get('leader', '/leader'),
    ...paged('locks', '/locks', byName('lock-0000900')),
    ...paged('limits', '/limits', byName('limit-0000900')),
    get('sinks', '/sinks'),
    ...paged('dead rows', '/sinks/dead', byId(many / 2)),
    ...paged('dead rows of a sink', '/sinks/dead', byId(many / 2), { sink: 'sink-0000001' }),
    ...paged('dead rows of a job', '/sinks/dead', byId(many / 2), { jobId: busyJob }),
    ...paged('shared values', '/shared', byName('topic-0000100')),
    ...paged('caches', '/caches', byName('a')),
    ...paged('tokens', '/tokens', byId(900)),
    ...paged('audit', '/audit', byId(many)),
    ...paged('audit of a job', '/audit', byId(many), { jobId: busyJob }),
    ...paged('audit of a rare job', '/audit', byId(many), { jobId: rareJob }),
    ...paged('audit of a verb', '/audit', byId(many), { verb: 'jobs.pause' }),
    ...paged('audit of a person', '/audit', byId(many), { actor: 'person-0000003' }),
    ...paged('audit of a week', '/audit', byId(many), { from: ago(21), to: ago(14) }),
    get('events', '/events/page', { after: 0 }),
  ]
}
