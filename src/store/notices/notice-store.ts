import { sql } from 'kysely'
import { type Alert, withFailures } from '../../notice/alert.ts'
import type { LastTold } from '../../notice/due-notices.ts'
import { type LateChanges, lateChanges, type Overdue } from '../../notice/lateness.ts'
import { NOTICE_KINDS, type NoticeKind } from '../../notice/notice.ts'
import type { Database } from '../connection/database.ts'
import { soundRows } from '../values/broken-row.ts'
import { alertOf, failuresOf, writeAlert } from './alert-rows.ts'
import { overdueJobs } from './overdue.ts'
import { hasRecovered } from './recovery.ts'

/** The maximum number of rows that one transaction merges. */
const GATHERED = 1_000
/** The maximum number of alerts that one pass reads, and of those that it checks for a recovery. The others wait for the next pass. */
const MAX_ALERTS = 1_000
const MAX_CHECKED = 200

/** The work that is left to do. */
export interface NoticeWork {
  readonly now: Date
  readonly hasNotices: boolean
  readonly hasAlerts: boolean
  readonly hasDeadlines: boolean
}

/** Failures, and the alerts into which the leader merges them. */
export class NoticeStore {
  readonly #database: Database
  #checked = 0

  constructor(database: Database) {
    this.#database = database
  }

  /** Reads, with one short query, which work is left to do. */
  async work(): Promise<NoticeWork> {
    const { db, dialect } = this.#database
    const row = await db
      .selectNoFrom([
        dialect.now().as('now'),
        sql<number>`EXISTS (SELECT 1 FROM piko_notice)`.as('notices'),
        sql<number>`EXISTS (SELECT 1 FROM piko_alert)`.as('alerts'),
        sql<number>`EXISTS (SELECT 1 FROM piko_job WHERE deadline_ms IS NOT NULL)`.as('deadlines'),
      ])
      .executeTakeFirstOrThrow()
    return {
      now: dialect.date(row.now),
      hasNotices: Number(row.notices) === 1,
      hasAlerts: Number(row.alerts) === 1,
      hasDeadlines: Number(row.deadlines) === 1,
    }
  }

  /** Merges failures into the alerts of their jobs, in one transaction. @returns whether there may be more */
  async gather(): Promise<boolean> {
    const { dialect, broken } = this.#database
    return this.#database.transaction(async (trx) => {
      const rows = await trx
        .selectFrom('piko_notice')
        .selectAll()
        .orderBy('id')
        .limit(GATHERED)
        .modifyEnd(dialect.forUpdateSkipLocked)
        .execute()
      if (rows.length === 0) return false
      const byJob = Map.groupBy(
        soundRows(dialect, 'piko_notice', rows, broken.report).map((row) => failuresOf(row, dialect)),
        ({ jobId }) => jobId,
      )
      const known = await trx
        .selectFrom('piko_alert')
        .selectAll()
        .where('job_id', 'in', [...byJob.keys()])
        .where('kind', '=', 'failure')
        .execute()
      const alerts = new Map(known.map((row) => [row.job_id, alertOf(row, dialect)]))
      for (const [jobId, some] of byJob) {
        const alert = withFailures(alerts.get(jobId), some)
        if (alert) await writeAlert(trx, dialect, alert)
      }
      await trx
        .deleteFrom('piko_notice')
        .where(dialect.isAmong(rows.map(({ id }) => Number(id))))
        .execute()
      return rows.length === GATHERED
    })
  }

  /** Lists alerts. Those that have not been reported yet come first. */
  async alerts(limit = MAX_ALERTS): Promise<Alert[]> {
    const { db, dialect, broken } = this.#database
    const rows = await db
      .selectFrom('piko_alert')
      .selectAll()
      .orderBy('told_at')
      .orderBy('job_id')
      .limit(limit)
      .execute()
    return soundRows(dialect, 'piko_alert', rows, broken.report).map((row) => alertOf(row, dialect))
  }

  /** Lists the jobs with a deadline, and what is late in each of them. */
  overdue(): Promise<Overdue[]> {
    return overdueJobs(this.#database)
  }

  /** Opens, updates and closes the alerts of late jobs. */
  async markLate(alerts: readonly Alert[], jobs: readonly Overdue[], now: Date): Promise<LateChanges> {
    const { dialect } = this.#database
    const changes = lateChanges(alerts, jobs, now)
    const { written, dropped } = changes
    if (written.length + dropped.length === 0) return changes
    await this.#database.transaction(async (trx) => {
      for (const alert of written) await writeAlert(trx, dialect, alert)
      if (dropped.length > 0)
        await trx.deleteFrom('piko_alert').where('kind', '=', 'late').where('job_id', 'in', dropped).execute()
    })
    return changes
  }

  /**
   * Marks reported alerts about failures whose jobs have recovered, and returns them. If there are many alerts, checks only a part of them.
   */
  async recover(alerts: readonly Alert[]): Promise<Alert[]> {
    const { db, dialect } = this.#database
    const open = alerts.filter(({ problem, toldAt, recoveredAt }) => problem === 'failure' && toldAt && !recoveredAt)
    if (this.#checked >= open.length) this.#checked = 0
    const some = open.slice(this.#checked, (this.#checked += MAX_CHECKED))
    const recovered: Alert[] = []
    for (const alert of some) {
      if (!(await hasRecovered(this.#database, alert))) continue
      // If the job has failed again since the alert was read, the alert stays unchanged.
      const { numUpdatedRows } = await db
        .updateTable('piko_alert')
        .set({ recovered_at: dialect.now() })
        .where('job_id', '=', alert.jobId)
        .where('kind', '=', 'failure')
        .where('last_at', '=', dialect.instant(alert.lastAt))
        .executeTakeFirstOrThrow()
      if (numUpdatedRows > 0n) recovered.push(alert)
    }
    return recovered
  }

  /** Returns when the last message of each kind was stored. Searches only the newest 500 messages. */
  async lastTold(): Promise<LastTold> {
    const { db, dialect } = this.#database
    const rows = await db
      .selectFrom('piko_message')
      .select(['kind', 'created_at'])
      .orderBy('id', 'desc')
      .limit(500)
      .execute()
    const last: Partial<Record<NoticeKind, Date>> = {}
    for (const { kind, created_at } of rows) if (NOTICE_KINDS.includes(kind)) last[kind] ??= dialect.date(created_at)
    return last
  }

  /** Returns for which kinds of notices each of these jobs has hooks. */
  async hooks(jobIds: readonly string[]): Promise<ReadonlyMap<string, readonly NoticeKind[]>> {
    if (jobIds.length === 0) return new Map()
    const rows = await this.#database.db
      .selectFrom('piko_job')
      .select(['id', 'hooks'])
      .where('id', 'in', jobIds)
      .where('hooks', 'is not', null)
      .execute()
    return new Map(rows.map(({ id, hooks }) => [id, kindsIn(hooks ?? '')]))
  }
}

function kindsIn(hooks: string): NoticeKind[] {
  return NOTICE_KINDS.filter((kind) => hooks.split(',').includes(kind))
}
