import { type Selectable, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { chunksOf } from '../statements/chunks.ts'
import { fenceOf } from './fence.ts'
import { type GivenBack, giveBack, type NotGivenBack } from './give-back.ts'
import { RUNNING } from './run-states.ts'
import type { RunTable } from '../tables.ts'

/** The maximum number of runs that one call to `recover` returns to the queue. */
export const MAX_RECOVERED = 1_000

export interface Recovered extends GivenBack {
  /** The nodes that held these runs. */
  readonly nodeIds: readonly string[]
  /** Where the next call continues; undefined if no run with a greater id is left. */
  readonly next: number | undefined
}

/** Implements `RunStore.recover`. */
export async function recoverRuns(
  database: Database,
  lostAttempts: number,
  except: string | undefined,
  aside: ReadonlySet<number>,
  after: number,
): Promise<Recovered> {
  const { db, dialect } = database
  // Forces the index of the queue. Otherwise, both databases would walk through all stored runs in the order of their ids.
  const running = sql<Selectable<RunTable>>`piko_run`.as<'piko_run'>(sql`piko_run${dialect.forceIndex('run_queue')}`)
  const unindexedId = dialect.name === 'sqlite' ? sql<number>`+piko_run.id` : sql<number>`piko_run.id`
  const orphans = await db
    .selectFrom(running)
    .leftJoin('piko_node', 'piko_node.id', 'piko_run.node_id')
    .select(['piko_run.id', 'piko_run.node_id', 'piko_run.claims'])
    .where('piko_run.state', '=', RUNNING)
    .where((eb) => eb.or([eb('piko_node.id', 'is', null), eb('piko_node.expires_at', '<', dialect.now())]))
    .$if(except !== undefined, (query) => query.where('piko_run.node_id', '<>', except as string))
    .where(unindexedId, '>', after)
    .orderBy(unindexedId)
    .limit(MAX_RECOVERED)
    .execute()
  let count = 0
  const refused: NotGivenBack[] = []
  const left = orphans.filter(({ id }) => !aside.has(id))
  const byNode = Map.groupBy(left, (row) => row.node_id)
  for (const [nodeId, rows] of byNode) {
    if (nodeId === null) continue
    const given = await giveBack(database, nodeId, rows.map(heldOf), lostAttempts)
    count += given.count
    refused.push(...given.refused)
  }
  const next = orphans.length === MAX_RECOVERED ? orphans.at(-1)?.id : undefined
  return { count, refused, nodeIds: [...byNode.keys()].filter((id) => id !== null), next }
}

/** Implements `RunStore.recoverUnheld`. */
export async function recoverUnheld(
  database: Database,
  nodeId: string,
  held: () => ReadonlySet<number>,
  ageMs: number,
  aside: ReadonlySet<number>,
): Promise<GivenBack> {
  const { db, dialect } = database
  const rows = await db
    .selectFrom('piko_run')
    .select(['id', 'claims'])
    .where('state', '=', RUNNING)
    .where('node_id', '=', nodeId)
    .where('started_at', '<', dialect.nowPlus(-ageMs))
    .execute()
  if (rows.length === 0) return { count: 0, refused: [] }
  // The held claims are read after the query. If the event loop was blocked, the answer to an old claim may arrive during the query, and
  // its runs are then held.
  const fences = held()
  const unheld = rows.map(heldOf).filter(({ runId, fence }) => !fences.has(fence) && !aside.has(runId))
  let count = 0
  const refused: NotGivenBack[] = []
  for (const some of chunksOf(unheld, MAX_RECOVERED)) {
    const given = await giveBack(database, nodeId, some)
    count += given.count
    refused.push(...given.refused)
  }
  return { count, refused }
}

function heldOf(row: { readonly id: number; readonly claims: number }): { runId: number; fence: number } {
  return { runId: row.id, fence: fenceOf(row.id, row.claims) }
}
