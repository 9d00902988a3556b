import { sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import { exactKey, keyOf } from '../values/exact-key.ts'

/** The outcomes for one name that are not stored yet. */
export interface ScoreChange {
  readonly jobId: string
  readonly group: string
  readonly name: string
  readonly outcomes: readonly { readonly ok: boolean; readonly ms: number | undefined }[]
}

export interface StoredScore {
  readonly name: string
  readonly ok: number
  readonly failed: number
  readonly failuresInARow: number
  readonly successShare: number
  readonly ms: number | undefined
  readonly updatedAt: Date
}

/** The weight of the newest outcome in an average. The last 20 outcomes have most of the weight. */
const WEIGHT = 0.1

/** Adds outcomes to the scores, in one transaction. */
export async function addScores(database: Database, changes: readonly ScoreChange[]): Promise<void> {
  const { dialect } = database
  const ordered = changes.toSorted((one, other) => (textOf(one) < textOf(other) ? -1 : 1))
  await database.transaction(async (trx) => {
    for (const change of ordered) {
      const key = { job_id: change.jobId, score_group: exactKey(change.group), name: exactKey(change.name) }
      const fresh = { ...key, ok: 0, failed: 0, failures: 0, success_share: 1, ms: null, updated_at: dialect.now() }
      await dialect.insertIgnore(trx.insertInto('piko_item_score').values(fresh)).execute()
      const row = await trx
        .selectFrom('piko_item_score')
        .select(['ok', 'failed', 'failures', 'success_share', 'ms'])
        .where((eb) => eb.and(key))
        .modifyEnd(dialect.forUpdate)
        .executeTakeFirstOrThrow()
      const next = change.outcomes.reduce(
        (score, { ok, ms }) => ({
          ok: score.ok + (ok ? 1 : 0),
          failed: score.failed + (ok ? 0 : 1),
          failures: ok ? 0 : score.failures + 1,
          success_share: score.success_share + WEIGHT * ((ok ? 1 : 0) - score.success_share),
          ms: ms === undefined ? score.ms : score.ms === null ? ms : score.ms + WEIGHT * (ms - score.ms),
        }),
        row,
      )
      await trx
        .updateTable('piko_item_score')
        .set({ ...next, updated_at: dialect.now() })
        .where((eb) => eb.and(key))
        .execute()
    }
  })
}

export async function itemScores({ db, dialect }: Database, jobId: string, group: string): Promise<StoredScore[]> {
  const rows = await db
    .selectFrom('piko_item_score')
    .selectAll()
    .where('job_id', '=', jobId)
    .where('score_group', '=', exactKey(group))
    .where(sql<boolean>`ok + failed > 0`)
    .limit(10_000)
    .execute()
  return rows.map((row) => ({
    ...{ name: keyOf(row.name), ok: row.ok, failed: row.failed, failuresInARow: row.failures },
    ...{ successShare: row.success_share, ms: row.ms ?? undefined, updatedAt: dialect.date(row.updated_at) },
  }))
}

function textOf({ jobId, group, name }: ScoreChange): string {
  return `${jobId}\0${group}\0${name}`
}
