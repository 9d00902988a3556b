import type { Selectable, Transaction } from 'kysely'
import type { Run, RunState } from '../../run/run.ts'
import { PikoError } from '../../errors.ts'
import type { WindowInput } from '../../time/local-dates.ts'
import type { Window } from '../../time/window.ts'
import { firstHole, firstOpen } from './coverage.ts'
import { assertSound, soundRows } from '../values/broken-row.ts'
import type { Database } from '../connection/database.ts'
import type { Dialect } from '../connection/dialect.ts'
import { exactId } from '../values/exact-key.ts'
import { insertRuns } from '../runs/insert-rows.ts'
import { fromJson } from '../../json/json.ts'
import { type CoverageFilter, type LedgerSpan, ledgerSpans, readRange } from './ledger-spans.ts'
import { lastWindow } from './last-window.ts'
import { mapSound } from '../values/map-sound.ts'
import { inPages } from '../statements/pages.ts'
import { type StoredWindows, windowsBefore, windowsFrom } from './stored-windows.ts'
import type { Tables, WindowState, WindowTable } from '../tables.ts'
import { type LedgerBounds, ledgerBounds, unrunStretches } from './unrun.ts'
import { type GridCount, type GridRange, markStale, windowGrid } from './window-grid.ts'
import { upstreamChanged } from './upstream-change.ts'
import { ALL_STARTS, countByState, startRanges } from './window-ranges.ts'
import { withoutBroken } from '../values/without-broken.ts'
import { type NewRun, newRow } from '../runs/new-run.ts'
import { noteRows } from '../events/notes.ts'

/** A window of the ledger. A pending window shows the state of its run: `queued` or `running`. */
export interface LedgerWindow extends Window {
  readonly jobId: string
  readonly state: Exclude<WindowState, 'pending'> | 'queued' | 'running'
  readonly runId: number | undefined
  readonly attempt: number | undefined
  readonly error: string | undefined
  /**
   * For a waiting window: the upstream job for which it is waiting, and the first instant that this job's succeeded windows did not cover
   * at the last check.
   */
  readonly waitsFor: { readonly jobId: string; readonly at: Date } | undefined
}

export interface LedgerSummary {
  readonly jobId: string
  readonly counts: Readonly<Record<WindowState, number>>
  /**
   * The start of the first window that is counted. Gaps between earlier windows are not searched for. Undefined: all windows are counted.
   */
  readonly countedFrom: Date | undefined
  /**
   * Where the watermark begins: the start of the first window that the planner itself created. Earlier windows, from backfills or manual
   * runs, are in the ledger but do not move the watermark.
   */
  readonly start: Date | undefined
  /**
   * The end of the unbroken sequence of succeeded windows from `start` on. It equals `start` until the first window has succeeded.
   * Undefined without `start`, or if the ledger has no window from it on.
   */
  readonly watermark: Date | undefined
  /**
   * The parts of the job's timeline without a window, oldest first: before the first window, between windows, and after the last.
   */
  readonly unrun: readonly Window[]
  /** The end of the last window in the ledger. */
  readonly end: Date | undefined
}

export interface SummaryOptions {
  /** Counts windows and searches for missing ones only among this many of the newest windows. Default: among all. */
  readonly newest?: number
}

export interface WindowFilter {
  readonly state?: WindowState
  /** Only windows that start at this instant or later. A day in the job's zone (`'2025-06-15'`) means its beginning. */
  readonly from?: WindowInput
  /** Only windows that start before this instant or day. */
  readonly to?: WindowInput
  /** The maximum number of windows to return, oldest first. Default: 100. */
  readonly limit?: number
}

/** The ledger. It stores the state of every window of each job. */
export class WindowStore {
  readonly #database: Database

  constructor(database: Database) {
    this.#database = database
  }

  /**
   * Returns the state of a job's ledger. The watermark is computed, not stored, so it is correct even if two nodes finish adjacent windows
   * at the same moment. Finding the first window that has not succeeded takes one read per state from the index (job_id, state, start_at),
   * however long the ledger is.
   */
  async summary(jobId: string, { newest }: SummaryOptions = {}): Promise<LedgerSummary> {
    return withoutBroken(this.#database, (except) => this.#summary(jobId, except, newest))
  }

  async #summary(jobId: string, except: readonly number[], newest: number | undefined): Promise<LedgerSummary> {
    const { db, dialect } = this.#database
    const counts = { pending: 0, succeeded: 0, failed: 0, cancelled: 0, skipped: 0, waiting: 0, stale: 0 }
    const from = newest === undefined ? undefined : await this.#startOfNewest(jobId, newest)
    const countedFrom = from === undefined ? undefined : dialect.date(from)
    const counted = { ...ALL_STARTS, from, except }
    for await (const range of startRanges(db, dialect, jobId, counted)) {
      const rows = await countByState(db, dialect, jobId, range)
      for (const { state, count } of rows) if (state in counts) counts[state] += Number(count)
    }
    const bounds = await ledgerBounds(this.#database, jobId)
    const { start } = bounds
    const { unrun, end } = await unrunStretches(this.#database, jobId, bounds, counted)
    const summary = { jobId, counts, countedFrom, start, watermark: undefined, end, unrun }
    if (!start || !end || end <= start) return summary
    const begin = countedFrom && countedFrom > start ? countedFrom : start
    const before = { from: dialect.instant(start), before: dialect.instant(begin), except }
    const open = begin > start ? await firstOpen(db, dialect, jobId, before) : undefined
    // Windows that a backfill has run after the planner's cursor also move the watermark.
    const hole = open ?? (await firstHole(db, dialect, jobId, { start: begin, end }, except))
    return { ...summary, watermark: hole && hole < start ? start : (hole ?? end) }
  }

  /** Returns the stored start of the first of a job's last `newest` windows. Undefined if there are no older windows. */
  async #startOfNewest(jobId: string, newest: number): Promise<Date | string | undefined> {
    const rows = await this.#database.db
      .selectFrom('piko_window')
      .select('start_at')
      .where('job_id', '=', exactId(jobId))
      .orderBy('start_at', 'desc')
      .offset(newest - 1)
      .limit(2)
      .execute()
    return rows.length < 2 ? undefined : rows[0]?.start_at
  }

  async list(jobId: string, filter: WindowFilter = {}): Promise<LedgerWindow[]> {
    const { dialect } = this.#database
    const { from, to } = readRange(filter)
    let query = this.#query(jobId).orderBy('piko_window.start_at')
    if (filter.state !== undefined) query = query.where('piko_window.state', '=', filter.state)
    if (to) query = query.where('piko_window.start_at', '<', dialect.instant(to))
    const first = from ? query.where('piko_window.start_at', '>=', dialect.instant(from)) : query
    const rows = await inPages<LedgerRow>(filter.limit ?? 100, (limit, last) =>
      (last ? query.where('piko_window.start_at', '>', last.start_at) : first).limit(limit).execute(),
    )
    return mapSound(dialect, 'piko_window', rows, (row) => this.#windowOf(jobId, row), this.#database.broken.report)
  }

  /** Returns the bounds of a registered job's ledger. */
  bounds(jobId: string): Promise<LedgerBounds> {
    return ledgerBounds(this.#database, jobId)
  }

  /** Returns the covered and uncovered parts of a job's timeline. */
  async coverage(jobId: string, filter: CoverageFilter = {}): Promise<LedgerSpan[]> {
    const bounds = await ledgerBounds(this.#database, jobId)
    return withoutBroken(this.#database, (except) => ledgerSpans(this.#database, jobId, filter, bounds, except))
  }

  /** Counts the windows of some jobs by state and cell. */
  grid(jobIds: readonly string[], range: GridRange): Promise<ReadonlyMap<string, readonly GridCount[]>> {
    return windowGrid(this.#database, jobIds, range)
  }

  /**
   * Marks the succeeded windows that start within a range as stale.
   *
   * @returns the number of marked windows
   */
  markStale(jobId: string, range: Window): Promise<number> {
    return markStale(this.#database, jobId, range)
  }

  #query(jobId: string) {
    return this.#database.db
      .selectFrom('piko_window')
      .leftJoin('piko_run', 'piko_run.id', 'piko_window.run_id')
      .select([
        'piko_window.id',
        'piko_window.start_at',
        'piko_window.end_at',
        'piko_window.state',
        'piko_window.run_id',
      ])
      .select(['piko_window.wait_job', 'piko_window.wait_at'])
      .select(['piko_run.state as run_state', 'piko_run.attempt', 'piko_run.error'])
      .where('piko_window.job_id', '=', exactId(jobId))
  }

  #windowOf(jobId: string, row: LedgerRow): LedgerWindow {
    const { dialect } = this.#database
    return {
      jobId,
      start: dialect.date(row.start_at),
      end: dialect.date(row.end_at),
      state: row.state === 'pending' ? pendingState(row.run_state) : row.state,
      runId: row.run_id ?? undefined,
      attempt: row.attempt ?? undefined,
      error: messageOf(fromJson(row.error)),
      waitsFor:
        row.state === 'waiting' && row.wait_job !== null && row.wait_at !== null
          ? { jobId: row.wait_job, at: dialect.date(row.wait_at) }
          : undefined,
    }
  }

  /** Returns the last window that ends at or before an instant. @throws BrokenRow */
  async endingBy(jobId: string, end: Date): Promise<LedgerWindow | undefined> {
    // The last window that starts before the instant may end after it, so the last two are read.
    const before = await this.#query(jobId)
      .where('piko_window.start_at', '<', this.#database.dialect.instant(end))
      .orderBy('piko_window.start_at', 'desc')
      .limit(2)
      .execute()
    for (const row of before) assertSound(this.#database.dialect, 'piko_window', row)
    return before.map((row) => this.#windowOf(jobId, row)).find((window) => window.end <= end)
  }

  /** Returns the window that starts last. */
  async newest(jobId: string): Promise<LedgerWindow | undefined> {
    const found = await this.#query(jobId).orderBy('piko_window.start_at', 'desc').limit(1).execute()
    const sound = soundRows(this.#database.dialect, 'piko_window', found, this.#database.broken.report)
    return sound.map((row) => this.#windowOf(jobId, row))[0]
  }

  /** Returns the window that contains an instant. @throws BrokenRow */
  async containing(jobId: string, instant: Date): Promise<LedgerWindow | undefined> {
    const around = await this.#query(jobId)
      .where('piko_window.start_at', '<=', this.#database.dialect.instant(instant))
      .orderBy('piko_window.start_at', 'desc')
      .limit(1)
      .execute()
    for (const row of around) assertSound(this.#database.dialect, 'piko_window', row)
    return around.map((row) => this.#windowOf(jobId, row)).find((window) => window.end > instant)
  }

  /**
   * Returns existing windows around an instant, about 1,000 at most. `'after'`: the last one that starts at or before it, and later ones.
   * `'before'`: those that start before it, and the next one.
   */
  stored(jobId: string, at: Date, side: 'after' | 'before'): Promise<StoredWindows> {
    const { db, dialect } = this.#database
    return (side === 'after' ? windowsFrom : windowsBefore)(db, dialect, jobId, at)
  }

  /** Returns the states of the ledger's windows from the first to the last given one, by their starts in ms. Leaves out unreadable ones. */
  async states(jobId: string, windows: readonly Window[]): Promise<Map<number, WindowState>> {
    const { db, dialect } = this.#database
    const starts = windows.map((window) => window.start.getTime())
    const rows = await db
      .selectFrom('piko_window')
      .select(['id', 'start_at', 'state'])
      .where('job_id', '=', exactId(jobId))
      .where('start_at', '>=', dialect.instant(new Date(Math.min(...starts))))
      .where('start_at', '<=', dialect.instant(new Date(Math.max(...starts))))
      .execute()
    const sound = soundRows(dialect, 'piko_window', rows, this.#database.broken.report)
    return new Map(sound.map((row) => [dialect.date(row.start_at).getTime(), row.state]))
  }

  /**
   * Queues a run of one window outside the schedule. The window then belongs to the new run, and stays pending until that run has ended.
   *
   * @throws PikoError `WINDOW_BUSY` while another run of the window is queued or running, `WINDOW_UNKNOWN` if the bounds of the job's
   * windows have changed
   */
  async enqueue(run: NewRun & { readonly window: Window }): Promise<number> {
    const { dialect } = this.#database
    return this.#database.transaction(async (trx) => {
      const start_at = dialect.instant(run.window.start)
      // The planner, backfills and a change of the schedule use the same lock, so the bounds of the windows can't change now.
      await trx.selectFrom('piko_job').select('id').where('id', '=', run.jobId).modifyEnd(dialect.forUpdate).execute()
      await assertFits(trx, dialect, run)
      const values = {
        job_id: run.jobId,
        start_at,
        end_at: dialect.instant(run.window.end),
        state: 'skipped' as const,
        updated_at: dialect.now(),
      }
      // A missing window is created first, because locking a row that does not exist would lock the gap around it.
      const insert = trx.insertInto('piko_window').values(values)
      await dialect.insertIgnore(insert).execute()
      const row = await trx
        .selectFrom('piko_window')
        .select(['id', 'state', 'run_id'])
        .where('job_id', '=', run.jobId)
        .where('start_at', '=', start_at)
        .modifyEnd(dialect.forUpdate)
        .executeTakeFirstOrThrow()
      if (row.state === 'pending') {
        throw new PikoError(
          'WINDOW_BUSY',
          `window ${run.window.start.toISOString()} of job "${run.jobId}" already has run ${row.run_id}; wait until that run has ended`,
          { details: { jobId: run.jobId, start: run.window.start.toISOString(), runId: row.run_id } },
        )
      }
      if (row.state === 'succeeded' || row.state === 'stale') {
        await upstreamChanged(trx, dialect, run.jobId, [run.window], this.#database.broken.report)
      }
      const [runId] = await insertRuns(trx, dialect, [newRow(dialect, run)])
      if (runId === undefined) throw new Error('the run was inserted without an id')
      await trx
        .updateTable('piko_window')
        .set({ state: 'pending', run_id: runId, changed_to: null, updated_at: dialect.now() })
        .where('id', '=', row.id)
        .execute()
      noteRows(trx, 'windows', [row.id])
      return runId
    })
  }
}

/** A row of the ledger with the displayed columns of its run. */
type LedgerRow = Pick<
  Selectable<WindowTable>,
  'id' | 'start_at' | 'end_at' | 'state' | 'run_id' | 'wait_job' | 'wait_at'
> & {
  readonly run_state: RunState | null
  readonly attempt: number | null
  readonly error: string | null
}

/** Checks the bounds again, because they may have changed before the lock was acquired. */
async function assertFits(
  trx: Transaction<Tables>,
  dialect: Dialect,
  { jobId, window: { start, end } }: { readonly jobId: string; readonly window: Window },
): Promise<void> {
  const last = await lastWindow(trx, dialect, jobId, new Date(end.getTime() - 1))
  if (!last || dialect.date(last.end_at) <= start) return
  if (
    dialect.date(last.start_at).getTime() === start.getTime() &&
    dialect.date(last.end_at).getTime() === end.getTime()
  )
    return
  throw new PikoError(
    'WINDOW_UNKNOWN',
    `the windows of job "${jobId}" have changed: none reaches from ${start.toISOString()} to ${end.toISOString()} any more; repeat the request`,
    { details: { jobId, start: start.toISOString() } },
  )
}

function pendingState(state: RunState | null): Run['state'] & ('queued' | 'running') {
  return state === 'running' ? 'running' : 'queued'
}

function messageOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : undefined
}
