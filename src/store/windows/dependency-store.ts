import { type Selectable, sql, type SqlBool, type Transaction } from 'kysely'
import { toError } from '../../errors.ts'
import { runError } from '../../run/run-error.ts'
import { isRefusedValue } from '../../sql/database-faults.ts'
import type { Window } from '../../time/window.ts'
import { assertSound, BrokenRow, soundRows } from '../values/broken-row.ts'
import { firstHole } from './coverage.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { halved } from '../statements/halved.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { fromJson } from '../../json/json.ts'
import type { Tables, WindowTable } from '../tables.ts'
import { ALL_STARTS, startRanges, windowsWithin } from './window-ranges.ts'
import { type Dependencies, listDependencies } from './dependencies.ts'
import { type NewRun, newRow } from '../runs/new-run.ts'
import { noteRows } from '../events/notes.ts'
import { recordFailures } from '../notices/record-failures.ts'

/** A window that gets no run until the upstream windows have succeeded. */
export interface WaitingWindow {
  readonly id: number
  readonly jobId: string
  readonly window: Window
  /** The backfill that requested the window, if it is running or paused. */
  readonly backfill: { readonly id: number; readonly priority: number; readonly config: unknown } | undefined
}

/** How waiting windows get their runs when they no longer need to wait. */
export interface Promotion {
  readonly upstreams: (jobId: string) => readonly string[]
  /** Creates the run. Returns undefined if no run can be created now; the window then continues to wait. */
  readonly runOf: (waiting: WaitingWindow) => NewRun | undefined
}

/** A window whose run the database refuses to store. */
export interface RefusedWindow {
  readonly jobId: string
  readonly window: Window
  readonly refusal: unknown
  /** False if the database also refused to change the window's state to failed. The window then keeps waiting. */
  readonly hasFailed: boolean
}

/** What one check of waiting windows did. */
export interface Promoted {
  readonly looked: number
  readonly promoted: number
  readonly refused: readonly RefusedWindow[]
  readonly broken: readonly number[]
}

/** The maximum number of windows that one transaction handles. */
const BATCH = 50

/** The windows that are waiting for windows of other jobs. */
export class DependencyStore {
  readonly #database: Database
  #looks = 0

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Checks up to 50 waiting windows of these jobs. Creates runs for windows whose upstream jobs cover them. For the others, stores the
   * instant for which they are waiting. Skips windows if the instant for which they are waiting is not covered yet.
   *
   * A window whose run the database refuses becomes failed. The others of its batch get their runs.
   *
   * @param aside windows to skip
   * @returns the number of checked windows, the number of windows that got runs, the refused windows, and the `broken` ones: they have an
   * unreadable row or depend on one. Broken windows continue to wait, and their rows are reported
   */
  async promote(jobIds: readonly string[], promotion: Promotion, aside: readonly number[] = []): Promise<Promoted> {
    const ids = await this.#ready(jobIds, aside)
    if (ids.length === 0) return { looked: 0, promoted: 0, refused: [], broken: [] }
    const broken: number[] = []
    const refused: RefusedWindow[] = []
    const counts = await halved(
      ids,
      (some) => this.#database.transaction((trx) => this.#promote(trx, some, promotion, broken)),
      async (id, refusal) => {
        refused.push(...(await this.#fail(id, refusal)))
        return 0
      },
    )
    return { looked: ids.length, promoted: counts.reduce((sum, count) => sum + count, 0), refused, broken }
  }

  async #fail(id: number, refusal: unknown): Promise<RefusedWindow[]> {
    const { dialect } = this.#database
    const row = await this.#database.db
      .selectFrom('piko_window')
      .select(['job_id', 'start_at', 'end_at'])
      .where('id', '=', id)
      .executeTakeFirst()
    if (!row) return []
    const window = { start: dialect.date(row.start_at), end: dialect.date(row.end_at) }
    const failing = this.#database.transaction(async (trx) => {
      const { numUpdatedRows } = await trx
        .updateTable('piko_window')
        .set({ state: 'failed', run_id: null, wait_job: null, wait_at: null, updated_at: dialect.now() })
        .where('id', '=', id)
        .where('state', '=', 'waiting')
        .executeTakeFirstOrThrow()
      noteRows(trx, 'windows', [id])
      if (numUpdatedRows > 0n)
        await recordFailures(trx, dialect, [{ jobId: row.job_id, window, error: runError(toError(refusal)) }])
    })
    const hasFailed = await failing.then(
      () => true,
      (thrown: unknown) => {
        if (isRefusedValue(thrown)) return false
        throw thrown
      },
    )
    return [{ jobId: row.job_id, window, refusal, hasFailed }]
  }

  /** Lists windows that no node has checked yet, and those whose awaited instant is now covered. */
  async #ready(jobIds: readonly string[], aside: readonly number[]): Promise<number[]> {
    const jobs = await this.#withWaiting(jobIds)
    // Each check begins with a different job, so that a job with many such windows does not delay the others.
    const first = this.#looks++ % Math.max(1, jobs.length)
    const ids: number[] = []
    for (const jobId of [...jobs.slice(first), ...jobs.slice(0, first)]) {
      ids.push(...(await this.#readyOf(jobId, BATCH - ids.length, aside)))
      if (ids.length === BATCH) break
    }
    return ids
  }

  async #withWaiting(jobIds: readonly string[]): Promise<string[]> {
    if (jobIds.length === 0) return []
    const rows = await this.#database.db
      .selectFrom('piko_job')
      .select('id')
      .where('id', 'in', jobIds)
      .where((eb) =>
        eb.exists(
          eb
            .selectFrom('piko_window')
            .select('piko_window.id')
            .whereRef('piko_window.job_id', '=', 'piko_job.id')
            .where('piko_window.state', '=', 'waiting'),
        ),
      )
      .orderBy('id')
      .execute()
    return rows.map((row) => row.id)
  }

  /** Reads in parts, because each window must be checked, and most of them are waiting for an instant that is not covered yet. */
  async #readyOf(jobId: string, limit: number, except: readonly number[]): Promise<number[]> {
    const { db, dialect } = this.#database
    const ids: number[] = []
    for await (const range of startRanges(db, dialect, jobId, { ...ALL_STARTS, except }, 'waiting')) {
      const rows = await windowsWithin(db, jobId, range)
        .select('one.id')
        .where('one.state', '=', 'waiting')
        .where((eb) =>
          eb.or([
            eb('one.wait_job', 'is', null),
            sql<SqlBool>`(
              SELECT CASE WHEN upstream.state = 'succeeded' AND upstream.end_at > one.wait_at THEN 1 ELSE 0 END
              FROM piko_window AS upstream
              WHERE upstream.job_id = one.wait_job AND upstream.start_at <= one.wait_at
              ORDER BY upstream.start_at DESC LIMIT 1
            ) = 1`,
          ]),
        )
        .orderBy('one.start_at')
        .limit(limit - ids.length)
        .execute()
      ids.push(...rows.map((row) => row.id))
      if (ids.length === limit) break
    }
    return ids
  }

  async #promote(
    trx: Transaction<Tables>,
    ids: readonly number[],
    promotion: Promotion,
    broken: number[],
  ): Promise<number> {
    const { dialect } = this.#database
    // The windows are locked before their coverage is checked; see `upstreamChanged`.
    const rows = await trx
      .selectFrom('piko_window')
      .select(['id', 'job_id', 'start_at', 'end_at', 'backfill_id'])
      .where('id', 'in', ids)
      .where('state', '=', 'waiting')
      .orderBy('id')
      .modifyEnd(dialect.forUpdate)
      .execute()
    const sound = soundRows(dialect, 'piko_window', rows, (row) => {
      if (row.id !== undefined) broken.push(row.id)
      this.#database.broken.report(row)
    })
    const covered: WaitingWindow[] = []
    for (const waiting of await this.#describe(trx, sound)) {
      const hole = await this.#holeOf(trx, promotion.upstreams(waiting.jobId), waiting.window)
      if (hole === 'unknown') broken.push(waiting.id)
      else if (!hole) covered.push(waiting)
      else {
        await trx
          .updateTable('piko_window')
          .set({ wait_job: hole.jobId, wait_at: dialect.instant(hole.at) })
          .where('id', '=', waiting.id)
          .execute()
      }
    }
    return this.#queue(trx, covered, promotion)
  }

  /** Returns the first job that does not cover the window, and its first uncovered instant. `'unknown'`: a row can't be read. */
  async #holeOf(
    trx: Transaction<Tables>,
    upstreams: readonly string[],
    window: Window,
  ): Promise<{ jobId: string; at: Date } | 'unknown' | undefined> {
    try {
      for (const jobId of upstreams) {
        const at = await firstHole(trx, this.#database.dialect, jobId, window)
        if (at) return { jobId, at }
      }
      return undefined
    } catch (thrown) {
      if (!(thrown instanceof BrokenRow)) throw thrown
      this.#database.broken.report(thrown)
      return 'unknown'
    }
  }

  async #queue(trx: Transaction<Tables>, covered: readonly WaitingWindow[], { runOf }: Promotion): Promise<number> {
    const asked = covered.flatMap((waiting) => {
      const run = runOf(waiting)
      return run ? [{ waiting, run }] : []
    })
    if (asked.length === 0) return 0
    const { dialect } = this.#database
    const fired = await firedTicks(
      trx,
      dialect,
      asked.flatMap(({ waiting: { jobId }, run: { tick } }) => (tick ? { jobId, tick } : [])),
    )
    const runs = asked.map(({ waiting, run }) => {
      // If a window runs again, its tick has already fired. The new run then has no tick.
      return newRow(dialect, run.tick && fired.has(tickOf(waiting.jobId, run.tick)) ? { ...run, tick: undefined } : run)
    })
    const runIds = await insertRuns(trx, dialect, runs)
    const cases = asked.map(({ waiting: { id } }, index) => sql`WHEN ${id} THEN ${runIds[index]}`)
    await trx
      .updateTable('piko_window')
      .set({
        state: 'pending',
        run_id: sql<number>`CASE id ${sql.join(cases, sql` `)} END`,
        wait_job: null,
        wait_at: null,
        updated_at: dialect.now(),
      })
      .where(
        'id',
        'in',
        asked.map(({ waiting }) => waiting.id),
      )
      .execute()
    noteRows(
      trx,
      'windows',
      asked.map(({ waiting }) => waiting.id),
    )
    return asked.length
  }

  async #describe(
    trx: Transaction<Tables>,
    rows: readonly Pick<Selectable<WindowTable>, 'id' | 'job_id' | 'start_at' | 'end_at' | 'backfill_id'>[],
  ): Promise<WaitingWindow[]> {
    const { dialect } = this.#database
    const ids = [...new Set(rows.flatMap((row) => row.backfill_id ?? []))]
    const going =
      ids.length === 0
        ? []
        : await trx
            .selectFrom('piko_backfill')
            .select(['id', 'priority', 'config'])
            .where('id', 'in', ids)
            .where('state', 'in', ['running', 'paused'])
            .execute()
    const backfills = new Map(going.map((row) => [row.id, { ...row, config: fromJson(row.config) }]))
    return rows.map((row) => ({
      id: row.id,
      jobId: row.job_id,
      window: { start: dialect.date(row.start_at), end: dialect.date(row.end_at) },
      backfill: row.backfill_id === null ? undefined : backfills.get(row.backfill_id),
    }))
  }

  /** Returns the first waiting window of a job. @throws BrokenRow */
  async firstWaiting(jobId: string): Promise<Window | undefined> {
    const { db, dialect } = this.#database
    const row = await db
      .selectFrom('piko_window')
      .select(['id', 'start_at', 'end_at'])
      .where('job_id', '=', jobId)
      .where('state', '=', 'waiting')
      .orderBy('start_at')
      .limit(1)
      .executeTakeFirst()
    if (!row) return undefined
    assertSound(dialect, 'piko_window', row)
    return { start: dialect.date(row.start_at), end: dialect.date(row.end_at) }
  }

  /** Lists all registered dependencies, by job. */
  list(): Promise<Dependencies[]> {
    return listDependencies(this.#database)
  }
}

async function firedTicks(
  trx: Transaction<Tables>,
  dialect: Dialect,
  ticks: readonly { readonly jobId: string; readonly tick: Date }[],
): Promise<Set<string>> {
  const fired = new Set<string>()
  for (const [jobId, ofJob] of Map.groupBy(ticks, (one) => one.jobId)) {
    const rows = await trx
      .selectFrom('piko_run')
      .select('tick')
      .where('job_id', '=', jobId)
      .where(
        'tick',
        'in',
        ofJob.map(({ tick }) => dialect.instant(tick)),
      )
      .execute()
    for (const { tick } of rows) if (tick !== null) fired.add(tickOf(jobId, dialect.date(tick)))
  }
  return fired
}

function tickOf(jobId: string, tick: Date): string {
  return `${jobId}\n${tick.getTime()}`
}
