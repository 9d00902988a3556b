import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { chunksOf } from '../statements/chunks.ts'
import { soundRows } from '../values/broken-row.ts'
import { exactId } from '../values/exact-key.ts'
import { NODE_SETTINGS } from './config-store.ts'

/** What a node reports about the config of one job. */
export interface ConfigAck {
  readonly jobId: string
  /** Which version the node uses; undefined if it uses none. */
  readonly version: number | undefined
  /** A newer version that the node does not use, and why. */
  readonly refused: { readonly version: number; readonly problem: string } | undefined
  /** Whether the node's code has the job. */
  readonly isRegistered: boolean
}

/** A live node, and what it reports about the config of one job. */
export interface NodeConfig {
  readonly nodeId: string
  readonly host: string
  readonly pid: number
  /** Which version the node uses; undefined if it uses none, or has not reported one yet. */
  readonly version: number | undefined
  readonly refused: ConfigAck['refused']
}

const MAX_ROWS = 200
const MAX_PROBLEM = 1_000

/** Stores which version of each config the nodes use. A node writes its rows only when they change. */
export class ConfigAckStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  async save(nodeId: string, acks: readonly ConfigAck[]): Promise<void> {
    const { db, dialect, retry } = this.#database
    for (const some of chunksOf(acks, MAX_ROWS)) {
      const insert = db.insertInto('piko_config_ack').values(
        some.map(({ jobId, version, refused, isRegistered }) => ({
          job_id: jobId,
          node_id: nodeId,
          version: version ?? null,
          refused_version: refused?.version ?? null,
          problem: refused?.problem.slice(0, MAX_PROBLEM) ?? null,
          is_registered: isRegistered ? 1 : 0,
          acked_at: dialect.now(),
        })),
      )
      const replaced = ['version', 'refused_version', 'problem', 'is_registered', 'acked_at'] as const
      const set = Object.fromEntries(
        replaced.map((name) => [
          name,
          dialect.name === 'mysql' ? sql`VALUES(${sql.ref(name)})` : sql`${sql.ref(`excluded.${name}`)}`,
        ]),
      )
      const statement =
        dialect.name === 'mysql'
          ? insert.onDuplicateKeyUpdate(set)
          : insert.onConflict((oc) => oc.columns(['job_id', 'node_id']).doUpdateSet(set))
      await retry(() => statement.execute())
    }
  }

  /** Returns the live nodes whose code has the job, and those that have not reported yet whether it does, oldest first. */
  async list(jobId: string): Promise<NodeConfig[]> {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_node')
      .leftJoin('piko_config_ack', (join) =>
        join.onRef('piko_config_ack.node_id', '=', 'piko_node.id').on('piko_config_ack.job_id', '=', exactId(jobId)),
      )
      .select(['piko_node.id', 'host', 'pid', 'version', 'refused_version', 'problem', 'is_registered'])
      .where('expires_at', '>=', dialect.now())
      .orderBy('started_at')
      .orderBy('piko_node.id')
      .execute()
    const known = rows.filter(({ is_registered: is }) => is === null || Number(is) === 1)
    return soundRows(dialect, 'piko_node', known, broken.report).map((row) => ({
      ...{ nodeId: row.id, host: row.host, pid: row.pid, version: row.version ?? undefined },
      refused: row.refused_version === null ? undefined : { version: row.refused_version, problem: row.problem ?? '' },
    }))
  }

  /** Returns which versions of live settings the nodes use, by node and subject. */
  async settings(): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const rows = await this.#database.db
      .selectFrom('piko_config_ack')
      .select(['node_id', 'job_id', 'version'])
      .where('job_id', 'like', `${NODE_SETTINGS}%`)
      .where('is_registered', '=', 1)
      .execute()
    const byNode = Map.groupBy(rows, ({ node_id: node }) => node)
    return new Map(
      [...byNode].map(([node, its]) => [
        node,
        new Map(its.flatMap(({ job_id: subject, version }) => (version === null ? [] : [[subject, version]]))),
      ]),
    )
  }
}
