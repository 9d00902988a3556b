import type { Database } from '../connection/database.ts'
import { digestsOf, factsOf } from '../nodes/node-facts.ts'
import { soundRows } from '../values/broken-row.ts'
import { queuedByJob } from './run-facts.ts'

export interface FleetNode {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly startedAgoMs: number
  /** How long ago the node's lease expired. If this is negative, the lease is still valid for that long. */
  readonly expiredAgoMs: number
  /** The node's version of Piko; undefined if the node does not report it, as older versions do not. */
  readonly version: string | undefined
  /** A digest of each of the node's jobs, by job id. */
  readonly jobs: Readonly<Record<string, string>> | undefined
}

/** A job in the database that has something to run: a schedule that is not paused, or queued runs. */
export interface WantedJob {
  readonly id: string
  readonly isScheduled: boolean
  readonly queued: number
}

export interface FleetFacts {
  readonly nodes: readonly FleetNode[]
  /** The lease of the leader; undefined if there never was one, or if its row can't be read. */
  readonly leader: { readonly nodeId: string | undefined; readonly expiredAgoMs: number } | undefined
  readonly wanted: readonly WantedJob[]
}

/** The maximum number of jobs and nodes that are read. */
const MAX_ROWS = 20_000

export async function fleetFacts(database: Database): Promise<FleetFacts> {
  const { db, dialect } = database
  const { now } = await db.selectNoFrom(dialect.now().as('now')).executeTakeFirstOrThrow()
  const nowMs = dialect.date(now).getTime()
  const agoMs = (at: Date | string): number => nowMs - dialect.date(at).getTime()
  const rows = await db
    .selectFrom('piko_node')
    .select(['id', 'host', 'pid', 'started_at', 'expires_at', 'facts', 'jobs'])
    .orderBy('started_at')
    .limit(MAX_ROWS)
    .execute()
  const leases = await db
    .selectFrom('piko_lock')
    .select(['name', 'owner', 'expires_at'])
    .where('name', '=', 'leader')
    .execute()
  const [leader] = soundRows(dialect, 'piko_lock', leases, () => {})
  return {
    nodes: soundRows(dialect, 'piko_node', rows, () => {}).map((row) => ({
      ...{
        id: row.id,
        host: row.host,
        pid: row.pid,
        version: factsOf(row.facts)?.version,
        jobs: digestsOf(row.jobs),
      },
      ...{ startedAgoMs: agoMs(row.started_at), expiredAgoMs: agoMs(row.expires_at) },
    })),
    leader: leader && { nodeId: leader.owner ?? undefined, expiredAgoMs: agoMs(leader.expires_at) },
    wanted: await wantedJobs(database),
  }
}

async function wantedJobs(database: Database): Promise<WantedJob[]> {
  const jobs = await database.db
    .selectFrom('piko_job')
    .select(['id'])
    .where('plan_at', 'is not', null)
    .where('is_paused', '=', 0)
    .limit(MAX_ROWS)
    .execute()
  const queued = await queuedByJob(database)
  const scheduled = new Set(jobs.map(({ id }) => id))
  return [...new Set([...scheduled, ...queued.keys()])]
    .sort()
    .map((id) => ({ id, isScheduled: scheduled.has(id), queued: queued.get(id) ?? 0 }))
}

/**
 * Returns the jobs that have something to run, but that are in no live node's code. Undefined if a live node does not report its jobs, or
 * if there is no live node. Pure.
 */
export function unknownJobsOf({
  nodes,
  wanted,
}: Pick<FleetFacts, 'nodes' | 'wanted'>): readonly WantedJob[] | undefined {
  const live = nodes.filter(({ expiredAgoMs }) => expiredAgoMs <= 0)
  if (live.length === 0 || live.some(({ jobs }) => jobs === undefined)) return undefined
  const known = new Set(live.flatMap(({ jobs }) => Object.keys(jobs ?? {})))
  return wanted.filter(({ id }) => !known.has(id))
}
