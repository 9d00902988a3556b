import { type Selectable, sql } from 'kysely'
import type { SharedRecord, SharedText } from '../../job/shared-value.ts'
import { fromJson } from '../../json/json.ts'
import type { Database } from '../connection/database.ts'
import { chunksOf } from '../statements/chunks.ts'
import { soundInPages } from '../statements/pages.ts'
import type { SharedTable } from '../tables.ts'
import { mapSound } from '../values/map-sound.ts'

export interface NewShared extends SharedText {
  readonly topic: string
  readonly reason: string | undefined
  readonly nodeId: string | undefined
}

/** A topic with its newest version. */
export interface SharedSummary extends Omit<SharedRecord, 'value'> {
  /** How many versions of the topic are stored. */
  readonly versions: number
}

/** The maximum number of topics that one statement reads. A statement with more parameters would not be faster. */
const MAX_TOPICS = 500
const MAX_REASON = 500
/** The maximum number of rows of a history that one query reads. A row may be a megabyte in size. */
const PAGE = 20
const PRUNED_AT_ONCE = 1_000

/**
 * Versions of values that all nodes share. A version never changes. If two processes add the same version, the primary key refuses the
 * second one.
 */
export class SharedStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /** Adds a version. @returns false if that version of the topic, or a newer one, is stored */
  async append({ topic, version, text, reason, nodeId }: NewShared): Promise<boolean> {
    const { db, dialect } = this.#database
    try {
      // Old versions are deleted, so the primary key alone would accept a number that was already used.
      const { numAffectedRows } = await this.#database.retry(() =>
        sql`
          INSERT INTO piko_shared (topic, version, value, reason, node_id, created_at)
          SELECT ${topic}, ${version}, ${text}, ${reason?.slice(0, MAX_REASON) ?? null}, ${nodeId ?? null}, ${dialect.now()}
          FROM (SELECT 1 AS one) AS one
          WHERE NOT EXISTS (SELECT 1 FROM piko_shared AS newer WHERE newer.topic = ${topic} AND newer.version >= ${version})
        `.execute(db),
      )
      return Number(numAffectedRows) > 0
    } catch (thrown) {
      if (dialect.isDuplicate(thrown)) return false
      throw thrown
    }
  }

  /** Returns the newest version of each topic. Topics without a version are left out. */
  async versions(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    const found = new Map<string, number>()
    for (const some of chunksOf(topics, MAX_TOPICS)) {
      const rows = await this.#database.db
        .selectFrom('piko_shared')
        .select((eb) => ['topic', eb.fn.max('version').as('version')])
        .where('topic', 'in', some)
        .groupBy('topic')
        .execute()
      for (const { topic, version } of rows) found.set(topic, Number(version))
    }
    return found
  }

  /** Returns the text of one version, or undefined if it is not stored. */
  async find(topic: string, version: number): Promise<string | undefined> {
    const row = await this.#database.db
      .selectFrom('piko_shared')
      .select('value')
      .where('topic', '=', topic)
      .where('version', '=', version)
      .executeTakeFirst()
    return row?.value
  }

  /** Lists the versions of a topic, newest first. Reports rows that can't be read. @param before only earlier versions */
  async history(topic: string, limit: number, before?: number): Promise<SharedRecord[]> {
    const { db, dialect, broken } = this.#database
    const query = db.selectFrom('piko_shared').selectAll().where('topic', '=', topic).orderBy('version', 'desc')
    const recordOf = (row: Selectable<SharedTable>): SharedRecord => ({
      ...headOf(row, dialect.date(row.created_at)),
      value: fromJson(row.value),
    })
    return soundInPages<Selectable<SharedTable>, SharedRecord>(
      limit,
      (size, last) => {
        const end = last?.version ?? before
        return (end === undefined ? query : query.where('version', '<', end)).limit(size).execute()
      },
      (rows) => mapSound(dialect, 'piko_shared', rows, recordOf, broken.report),
      PAGE,
    )
  }

  /** Lists the topics with their newest versions, in the order of their names. @param after only topics with later names are listed */
  async list(limit: number, after?: string): Promise<SharedSummary[]> {
    const { db, dialect, broken } = this.#database
    return soundInPages<Omit<Selectable<SharedTable>, 'value'> & { readonly versions: number }, SharedSummary>(
      limit,
      (size, last) =>
        db
          .selectFrom('piko_shared')
          .innerJoin(
            (eb) =>
              eb
                .selectFrom('piko_shared')
                .select((of) => [
                  'topic as name',
                  of.fn.max('version').as('newest'),
                  of.fn.countAll<number>().as('versions'),
                ])
                .where('topic', '>', last?.topic ?? after ?? '')
                .groupBy('topic')
                .orderBy('topic')
                .limit(size)
                .as('of'),
            (join) => join.onRef('topic', '=', 'of.name').onRef('version', '=', 'of.newest'),
          )
          .select(['topic', 'version', 'reason', 'node_id', 'created_at', 'versions'])
          .orderBy('topic')
          .execute(),
      (rows) =>
        mapSound(
          dialect,
          'piko_shared',
          rows,
          (row) => ({ ...headOf(row, dialect.date(row.created_at)), versions: Number(row.versions) }),
          broken.report,
        ),
    )
  }

  /** Deletes the versions of a topic up to and including this one, in several statements. */
  async prune(topic: string, upTo: number): Promise<void> {
    const { db } = this.#database
    for (;;) {
      const rows = await db
        .selectFrom('piko_shared')
        .select('version')
        .where('topic', '=', topic)
        .where('version', '<=', upTo)
        .orderBy('version')
        .limit(PRUNED_AT_ONCE)
        .execute()
      const last = rows.at(-1)
      if (!last) return
      await this.#database.retry(() =>
        db.deleteFrom('piko_shared').where('topic', '=', topic).where('version', '<=', last.version).execute(),
      )
      if (rows.length < PRUNED_AT_ONCE) return
    }
  }
}

function headOf(row: Omit<Selectable<SharedTable>, 'value'>, createdAt: Date): Omit<SharedRecord, 'value'> {
  return {
    topic: row.topic,
    version: Number(row.version),
    reason: row.reason ?? undefined,
    nodeId: row.node_id ?? undefined,
    createdAt,
  }
}
