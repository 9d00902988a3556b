import { type CompiledQuery, sql } from 'kysely'
import { propertyOf } from '../../errors-read.ts'
import type { ResourceStats } from '../../resource/resource-pool.ts'
import { MAX_LEASE_MS } from '../../settings/max-lease.ts'
import type { Database } from '../connection/database.ts'
import { assertSound } from '../values/broken-row.ts'
import { connectionColumns, endConnections, type EndedConnections } from './end-connections.ts'
import { note } from '../events/notes.ts'
import { digestsOf, factsOf, type NodeFacts } from './node-facts.ts'
import { OddLease } from './odd-lease.ts'

export interface NodeRow {
  readonly id: string
  readonly host: string
  readonly pid: number
  /** The address at which the node is notified of new work, `host:port`. */
  readonly doorbell?: string | undefined
  /** The URL at which other nodes reach this one, such as `piko://127.0.0.1:41234`. */
  readonly link?: string | undefined
}

/** The digests of a node's jobs, by job id. */
export type JobDigests = Readonly<Record<string, string>>

export interface NewNode extends NodeRow {
  readonly facts?: NodeFacts
  readonly digests?: JobDigests
  /** The secret of the node's link. Undefined: the secret from the settings, which all nodes share. */
  readonly linkKey?: string | undefined
}

/** A node with its lease. */
export interface NodeStatus extends NodeRow {
  readonly startedAt: Date
  /** When the node last renewed its lease. */
  readonly heartbeatAt: Date
  /** When the node's lease ends if it is not renewed. */
  readonly expiresAt: Date
  /** False if the node's lease has expired. */
  readonly isLive: boolean
  /** The facts that the node reports; undefined if it has stored none, or if they can't be read. */
  readonly facts: NodeFacts | undefined
}

/** The state of a resource on a node. The figures are at most a few seconds old. */
export interface ResourceStatus extends Omit<ResourceStats, 'size'> {
  readonly nodeId: string
  readonly host: string
  /** The number of slots; null if there is no limit. */
  readonly size: number | null
}

/** A live node that others can notify or call. */
export interface PeerRow {
  readonly id: string
  readonly host: string
  readonly doorbell: string | undefined
  readonly link: string | undefined
  readonly linkKey: string | undefined
}

const MAX_PEERS = 100
/** The maximum number of resources that are stored, because the column holds about 64 kB of text. */
const MAX_RESOURCES = 100

/** The nodes and their leases, on the database's clock. Every claimed run refers to the row of its node. */
export class NodeStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async register({ linkKey, facts, digests, ...node }: NewNode, leaseMs: number): Promise<void> {
    const { dialect, transaction } = this.#database
    await transaction(async (trx) => {
      await trx
        .insertInto('piko_node')
        .values({
          ...node,
          ...connectionColumns(this.#database.connectionIds()),
          doorbell: node.doorbell ?? null,
          link: node.link ?? null,
          link_key: linkKey ?? null,
          facts: facts ? JSON.stringify(facts) : null,
          jobs: digests ? JSON.stringify(digests) : null,
          started_at: dialect.now(),
          heartbeat_at: dialect.now(),
          expires_at: dialect.nowPlus(leaseMs),
        })
        .execute()
      note(trx, () => [{ kind: 'node', nodeId: node.id, state: 'started', host: node.host }])
    })
  }

  /**
   * Returns the statement that stores the ids that the server gave to this process's connections. It must be executed on one of these
   * connections.
   */
  savedConnections(nodeId: string, ids: readonly number[]): CompiledQuery {
    return this.#database.db.updateTable('piko_node').set(connectionColumns(ids)).where('id', '=', nodeId).compile()
  }

  endConnections(nodeIds: readonly string[]): Promise<EndedConnections> {
    return endConnections(this.#database, nodeIds)
  }

  /** Returns the statement that renews a lease. It changes no row if the lease has expired or the node's row was removed. */
  renewal(nodeId: string, leaseMs: number): { sql: string; parameters: (string | number)[] } {
    const { db, dialect } = this.#database
    const { sql, parameters } = db
      .updateTable('piko_node')
      .set({ heartbeat_at: dialect.now(), expires_at: dialect.nowPlus(leaseMs) })
      .where('id', '=', nodeId)
      .where('expires_at', '>=', dialect.now())
      .compile()
    return { sql, parameters: parameters as (string | number)[] }
  }

  /** Renews a lease, even an expired one, as long as no node has removed its row. Returns false if the row does not exist. */
  async renewHeld(nodeId: string, leaseMs: number): Promise<boolean> {
    const { db, dialect } = this.#database
    const { numUpdatedRows } = await this.#database.retry(() =>
      db
        .updateTable('piko_node')
        .set({ heartbeat_at: dialect.now(), expires_at: dialect.nowPlus(leaseMs) })
        .where('id', '=', nodeId)
        .executeTakeFirstOrThrow(),
    )
    return numUpdatedRows > 0n
  }

  /** Lists live nodes that others can notify or call, at most a hundred. */
  async peers(): Promise<PeerRow[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .select(['id', 'host', 'doorbell', 'link', 'link_key'])
      .where('expires_at', '>=', dialect.now())
      .where((eb) => eb.or([eb('doorbell', 'is not', null), eb('link', 'is not', null)]))
      .limit(MAX_PEERS)
      .execute()
    return rows.map(({ id, host, doorbell, link, link_key: key }) => ({
      ...{ id, host },
      doorbell: doorbell ?? undefined,
      link: link ?? undefined,
      linkKey: key ?? undefined,
    }))
  }

  /** Stores the facts that a node reports about itself and its resources, so that other nodes can show them. */
  async saveReport(
    nodeId: string,
    report: { readonly resources: readonly ResourceStats[]; readonly facts: NodeFacts },
  ): Promise<void> {
    const resources = report.resources.length > 0 ? JSON.stringify(report.resources.slice(0, MAX_RESOURCES)) : null
    const facts = JSON.stringify(report.facts)
    await this.#database.retry(() =>
      this.#database.db.updateTable('piko_node').set({ resources, facts }).where('id', '=', nodeId).execute(),
    )
  }

  /** Lists the resources of the live nodes, oldest node first. Leaves out entries that a person has made unreadable. */
  async resources(): Promise<ResourceStatus[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .select(['id', 'host', 'resources'])
      .where('expires_at', '>=', dialect.now())
      .where('resources', 'is not', null)
      .orderBy('started_at')
      .orderBy('id')
      .execute()
    return rows.flatMap(({ id, host, resources }) =>
      figuresOf(resources).map((figures) => ({ ...figures, nodeId: id, host })),
    )
  }

  /** Removes nodes. @param why the reason in the event: the nodes have stopped, or their leases have ended */
  async remove(nodeIds: readonly string[], why: 'stopped' | 'lost' = 'lost'): Promise<void> {
    if (nodeIds.length === 0) return
    const { db, retry, transaction } = this.#database
    await transaction(async (trx) => {
      for (const nodeId of nodeIds) {
        const { numDeletedRows } = await trx.deleteFrom('piko_node').where('id', '=', nodeId).executeTakeFirstOrThrow()
        // Several nodes may notice the same expired lease, but only one of them deletes the row.
        if (numDeletedRows > 0n) note(trx, () => [{ kind: 'node', nodeId, state: why }])
      }
    })
    await retry(() => db.deleteFrom('piko_config_ack').where('node_id', 'in', nodeIds).execute())
  }

  /** Lists the nodes whose leases have expired. */
  async expired(): Promise<NodeRow[]> {
    const { db, dialect } = this.#database
    return db.selectFrom('piko_node').select(['id', 'host', 'pid']).where('expires_at', '<', dialect.now()).execute()
  }

  /**
   * Shortens and reports leases that end later than any node would set them, so that the runs of a dead node are recovered. A live node
   * renews its lease in time.
   */
  async shortenOdd(): Promise<void> {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .select(['id', 'expires_at'])
      .where('expires_at', '>', dialect.nowPlus(MAX_LEASE_MS))
      .execute()
    for (const row of rows) {
      const { numUpdatedRows } = await this.#database.retry(() =>
        db
          .updateTable('piko_node')
          .set({ expires_at: dialect.nowPlus(MAX_LEASE_MS) })
          .where('id', '=', row.id)
          // A renewal in between takes precedence.
          .where('expires_at', '>', dialect.nowPlus(MAX_LEASE_MS))
          .executeTakeFirstOrThrow(),
      )
      if (numUpdatedRows === 0n) continue
      const terms = { maxMs: MAX_LEASE_MS, endsInMs: MAX_LEASE_MS, remedy: 'expires_at = heartbeat_at' }
      broken.report(new OddLease(dialect, 'piko_node', row, terms))
    }
  }

  /** Counts the nodes whose leases have not expired. */
  async countLive(): Promise<number> {
    const { db, dialect } = this.#database
    const { count } = await db
      .selectFrom('piko_node')
      .select((eb) => eb.fn.countAll<number>().as('count'))
      .where('expires_at', '>=', dialect.now())
      .executeTakeFirstOrThrow()
    return Number(count)
  }

  /** Returns for each live node whether its code has a job; undefined for a node that does not report its jobs. */
  async having(jobId: string): Promise<ReadonlyMap<string, boolean | undefined>> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .select(['id', 'jobs'])
      .where('expires_at', '>=', dialect.now())
      .execute()
    return new Map(
      rows.map(({ id, jobs }) => {
        const digests = digestsOf(jobs)
        return [id, digests && Object.hasOwn(digests, jobId)]
      }),
    )
  }

  /** Returns the ids of a node's jobs; undefined if the node has no readable list. */
  async jobsOf(nodeId: string): Promise<ReadonlySet<string> | undefined> {
    const { db } = this.#database
    const row = await db.selectFrom('piko_node').select('jobs').where('id', '=', nodeId).executeTakeFirst()
    const digests = row && digestsOf(row.jobs)
    return digests && new Set(Object.keys(digests))
  }

  async list(): Promise<NodeRow[]> {
    return this.#database.db.selectFrom('piko_node').select(['id', 'host', 'pid']).execute()
  }

  /** Returns how many runs each node holds. */
  async running(): Promise<ReadonlyMap<string, number>> {
    const rows = await this.#database.db
      .selectFrom('piko_run')
      .select((eb) => ['node_id', eb.fn.countAll<number>().as('count')])
      // The state is a literal, because SQLite does not use the index of the running runs for a bound value.
      .where('state', '=', sql.lit('running' as const))
      .groupBy('node_id')
      .execute()
    return new Map(rows.flatMap(({ node_id, count }) => (node_id === null ? [] : [[node_id, Number(count)]])))
  }

  /** Lists all nodes with their leases, the oldest first. @throws BrokenRow */
  async overview(): Promise<NodeStatus[]> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .select(['id', 'host', 'pid', 'doorbell', 'link', 'started_at', 'heartbeat_at', 'expires_at', 'facts'])
      .select(sql<number>`CASE WHEN expires_at >= ${dialect.now()} THEN 1 ELSE 0 END`.as('is_live'))
      .orderBy('started_at')
      .orderBy('id')
      .execute()
    return rows.map((row) => {
      const { id, host, pid, doorbell, link } = assertSound(dialect, 'piko_node', row)
      return {
        ...{ id, host, pid, doorbell: doorbell ?? undefined, link: link ?? undefined },
        startedAt: dialect.date(row.started_at),
        heartbeatAt: dialect.date(row.heartbeat_at),
        expiresAt: dialect.date(row.expires_at),
        isLive: Number(row.is_live) === 1,
        facts: factsOf(row.facts),
      }
    })
  }
}

type Figures = Omit<ResourceStatus, 'nodeId' | 'host'>

function figuresOf(text: string | null): Figures[] {
  try {
    const figures: unknown = JSON.parse(text ?? '[]')
    return Array.isArray(figures) ? figures.filter(isFigures) : []
  } catch {
    return []
  }
}

function isFigures(value: unknown): value is Figures {
  return typeof propertyOf(value, 'name') === 'string' && typeof propertyOf(value, 'state') === 'string'
}
