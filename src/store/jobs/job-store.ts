import { type Selectable, sql } from 'kysely'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { note } from '../events/notes.ts'
import { optionalDate } from '../runs/run-row.ts'
import { inPages } from '../statements/pages.ts'
import type { JobTable } from '../tables.ts'
import type { BrokenRow } from '../values/broken-row.ts'
import type { BrokenRows } from '../values/broken-rows.ts'
import { exactId } from '../values/exact-key.ts'
import { mapSound } from '../values/map-sound.ts'
import { generationsOf, type StoredGeneration } from '../windows/generations.ts'
import type { AddedJob, JobRegistration, JobRow } from './job-row.ts'
import { type JobActivity, jobActivities } from './job-overview.ts'
import { JobRanks, sameSchedule } from './job-ranks.ts'
import { registerJobs } from './register-jobs.ts'

/** Which jobs a page contains. */
export interface JobFilter {
  readonly state?: 'active' | 'paused'
  /** Only jobs whose id contains this text. */
  readonly search?: string
  /** Only jobs with windows (true), or without (false). */
  readonly hasWindows?: boolean
  readonly ids?: readonly string[]
  /** Only jobs whose schedule was set at run time (true), or whose schedule is the one in code (false). */
  readonly isOverridden?: boolean
  /** Only jobs after this one in the order of the page, such as the `next` of the previous page. */
  readonly after?: string
  /** The maximum number of jobs. Default 100. */
  readonly limit?: number
}

export interface JobPage<Job = JobRow> {
  readonly jobs: readonly Job[]
  /** The value to pass as `after` for the next page; undefined on the last page. */
  readonly next: string | undefined
}

/** The registered jobs. */
export class JobStore {
  readonly #database: Database
  readonly #ranks: JobRanks

  constructor(database: Database) {
    this.#database = database
    this.#ranks = JobRanks.of(database)
  }

  /** Receives the rows of jobs that can't be read. */
  get broken(): BrokenRows {
    return this.#database.broken
  }

  /**
   * Writes the jobs as declared in code. A paused job stays paused. If a job's schedule has not changed, it keeps its cursors, so its
   * missed ticks are found. A changed schedule continues where the old windows end.
   *
   * @throws BrokenRow if the cursors of a job whose schedule or windows have changed can't be read
   * @returns the jobs that nodes with older code do not plan: new jobs, and jobs whose windows were added or removed
   */
  register(registrations: readonly JobRegistration[]): Promise<AddedJob[]> {
    return registerJobs(this.#database, registrations)
  }

  /** Pauses or resumes a job's schedule. This does not affect queued and running runs. Returns false if there is no such job. */
  async setPaused(jobId: string, isPaused: boolean): Promise<boolean> {
    const { dialect, transaction } = this.#database
    return transaction(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('piko_job')
        .set({ is_paused: isPaused ? 1 : 0, updated_at: dialect.now() })
        .where('id', '=', exactId(jobId))
        .executeTakeFirstOrThrow()
      if (numUpdatedRows === 0n) return false
      note(trx, () => [{ kind: 'job', jobId, change: isPaused ? 'paused' : 'resumed' }])
      return true
    })
  }

  /** Sets a job's schedule. It takes effect at the next poll; see `PlanStore.edited`. */
  async setSchedule(jobId: string, schedule: string | null): Promise<void> {
    const { dialect, transaction } = this.#database
    await transaction(async (trx) => {
      await trx.updateTable('piko_job').set({ schedule, updated_at: dialect.now() }).where('id', '=', jobId).execute()
      note(trx, () => [{ kind: 'job', jobId, change: 'schedule' }])
    })
  }

  /**
   * Returns the schedules that have set the bounds of a job's windows over time, oldest first. Empty if the job has no windows, or if no
   * node has started with it yet.
   */
  async generations(jobId: string): Promise<readonly StoredGeneration[]> {
    const { db, dialect } = this.#database
    return (await generationsOf(db, dialect, [jobId])).get(jobId) ?? []
  }

  /** Finds a job. @throws BrokenRow if its row can't be read */
  async find(jobId: string): Promise<JobRow | undefined> {
    const fail = (row: BrokenRow): never => {
      throw row
    }
    return (await this.list([jobId], fail))[0]
  }

  /** Returns all jobs in the database, or those with these ids, ordered by id. `onBroken` receives the rows that can't be read. */
  async list(jobIds?: readonly string[], onBroken = this.#database.broken.report): Promise<JobRow[]> {
    if (jobIds?.length === 0) return []
    const { db, dialect } = this.#database
    let query = db.selectFrom('piko_job').selectAll().orderBy('id')
    if (jobIds) query = query.where('id', 'in', jobIds.map(exactId))
    const rows = await inPages<Selectable<JobTable>>(Infinity, (limit, last) =>
      (last ? query.where('id', '>', last.id) : query).limit(limit).execute(),
    )
    return mapSound(dialect, 'piko_job', rows, (row) => jobOf(row, dialect), onBroken)
  }

  /** Returns a page of jobs, without those whose rows can't be read. */
  async page({ state, search, hasWindows, ids, isOverridden, after, limit = 100 }: JobFilter): Promise<JobPage> {
    const { db, dialect, broken } = this.#database
    let query = db
      .selectFrom('piko_job')
      .selectAll()
      .orderBy('id')
      .limit(limit + 1)
    if (state !== undefined) query = query.where('is_paused', state === 'paused' ? '<>' : '=', 0)
    if (search !== undefined) query = query.where(sql<boolean>`id LIKE ${containing(search)} ESCAPE '!'`)
    if (hasWindows !== undefined) query = query.where('windows', hasWindows ? 'is not' : 'is', null)
    if (ids !== undefined) query = query.where('id', 'in', ['', ...ids.map(exactId)])
    if (isOverridden !== undefined)
      query = query.where(isOverridden ? sql<boolean>`NOT ${sameSchedule(dialect)}` : sameSchedule(dialect))
    if (after !== undefined) query = query.where('id', '>', exactId(after))
    const rows = await query.execute()
    const shown = rows.slice(0, limit)
    return {
      jobs: await mapSound(dialect, 'piko_job', shown, (row) => jobOf(row, dialect), broken.report),
      next: rows.length > limit ? shown.at(-1)?.id : undefined,
    }
  }

  /**
   * Returns a page of jobs, those that need attention first: late jobs, beginning with the one that has been late longest; then jobs with
   * failures; then the others by id. The order changes with the jobs, so a later page may repeat a job or leave one out. `after` is the
   * last job of the previous page.
   */
  async pageByAttention({ after, limit = 100, search, ...filter }: JobFilter): Promise<JobPage> {
    const { state, hasWindows, ids, isOverridden } = filter
    const found = search === undefined ? undefined : await this.#idsWith(search)
    const named = ids && new Set(ids)
    const ranked = (await this.#ranks.get()).filter(
      (rank) =>
        (state === undefined || rank.isPaused === (state === 'paused')) &&
        (hasWindows === undefined || rank.hasWindows === hasWindows) &&
        (isOverridden === undefined || rank.isOverridden === isOverridden) &&
        (found === undefined || found.has(rank.id)) &&
        (named === undefined || named.has(rank.id)),
    )
    const begin = after === undefined ? 0 : ranked.findIndex(({ id }) => id === after) + 1
    const shown = ranked.slice(begin, begin + limit).map(({ id }) => id)
    const rows = new Map((await this.list(shown)).map((row) => [row.id, row]))
    return {
      jobs: shown.flatMap((id) => rows.get(id) ?? []),
      next: ranked.length > begin + limit ? shown.at(-1) : undefined,
    }
  }

  async #idsWith(search: string): Promise<ReadonlySet<string>> {
    const rows = await this.#database.db
      .selectFrom('piko_job')
      .select('id')
      .where(sql<boolean>`id LIKE ${containing(search)} ESCAPE '!'`)
      .execute()
    return new Set(rows.map(({ id }) => id))
  }

  /** Returns the current state of some jobs' runs and windows. */
  activities(jobIds: readonly string[], runs: number): Promise<ReadonlyMap<string, JobActivity>> {
    return jobActivities(this.#database, jobIds, runs)
  }
}

/**
 * Returns a pattern for ids that contain a string. Ids have only ASCII characters. A search with other characters finds nothing, because a
 * server would refuse to compare them.
 */
function containing(text: string): string {
  return /^[ -~]*$/.test(text) ? `%${text.replaceAll(/[!%_]/g, '!$&')}%` : ''
}

function jobOf(row: Selectable<JobTable>, dialect: Dialect): JobRow {
  return {
    id: row.id,
    description: row.description ?? undefined,
    schedule: row.schedule,
    codeSchedule: row.code_schedule,
    plannedSchedule: row.planned_schedule,
    windows: row.windows,
    isPaused: row.is_paused !== 0,
    nextTick: optionalDate(row.next_tick, dialect),
    planAt: optionalDate(row.plan_at, dialect),
    windowCursor: optionalDate(row.window_cursor, dialect),
  }
}
