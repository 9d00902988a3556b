import type { CoverageFilter, LedgerSpan } from '../store/windows/ledger-spans.ts'
import type { LedgerSummary, LedgerWindow, SummaryOptions, WindowFilter } from '../store/windows/window-store.ts'
import type { AnyJob, KnownJob } from '../job/job-types.ts'
import { changing } from '../engine/refused-changes.ts'
import { zoneOfJob } from '../engine/planning/stored-job.ts'
import { momentOf, writtenDate } from '../time/local-dates.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import { PikoError } from '../errors.ts'
import type { Backfills } from './backfills/backfills.ts'
import type { BackfillStatus } from './backfills/backfill-status.ts'
import { optionsOf } from './call-options.ts'
import { jobIdOf } from './job-id.ts'
import type { Certificate, ProofRange } from './proof/certificate.ts'
import type { WindowMark, WindowRerun } from './operation-options.ts'
import type { Reach } from './reach.ts'
import { cellsOf, cellStarts, type GridFilter, gridRange, type WindowGrid } from './views/window-grid.ts'

const DEFAULT_ROWS = 50

/** `app.windows`: the ledgers of jobs with windows. */
export class Windows {
  readonly #reach: () => Pick<Reach, 'store'>
  readonly #backfills: Pick<Backfills, 'create'> | undefined

  /** @param backfills creates the backfills of {@link rerun} */
  constructor(reach: () => Pick<Reach, 'store'>, backfills?: Pick<Backfills, 'create'>) {
    this.#reach = reach
    this.#backfills = backfills
  }

  /**
   * Lists windows of a job's ledger, oldest first.
   *
   * @param filter.limit default 100
   */
  async list<const J extends AnyJob>(asked: KnownJob<J>, filter: WindowFilter = {}): Promise<LedgerWindow[]> {
    const jobId = jobIdOf('app.windows.list', asked)
    const given = await this.#dated(jobId, optionsOf('windows.list', filter))
    return this.#reach().store.windows.list(jobId, given)
  }

  /**
   * Returns a job's ledger as spans, oldest first: adjacent windows in the same state form one span, and gaps between windows are also
   * spans.
   *
   * @param filter.limit default 100
   * @example
   * const holes = (await app.windows.coverage('sync_orders')).filter(({ state }) => state !== 'succeeded')
   */
  async coverage<const J extends AnyJob>(asked: KnownJob<J>, filter: CoverageFilter = {}): Promise<LedgerSpan[]> {
    const jobId = jobIdOf('app.windows.coverage', asked)
    const given = await this.#dated(jobId, optionsOf('windows.coverage', filter))
    return this.#reach().store.windows.coverage(jobId, given)
  }

  /**
   * Returns how many windows are in each state, for many jobs, in cells of an hour, a day, a week (from Monday) or a month in UTC.
   *
   * @throws PikoError `USAGE`, for example for more than 2,000 cells
   * @example
   * const { rows } = await app.windows.grid({ from: '2026-03-01T00:00:00Z', to: '2026-04-01T00:00:00Z', by: 'day' })
   */
  async grid(filter: GridFilter): Promise<WindowGrid> {
    const options = optionsOf('windows.grid', filter)
    const { jobIds, limit = DEFAULT_ROWS, after } = options
    const { from, to, by } = gridRange(options)
    const { store } = this.#reach()
    const { jobs, next } = await store.jobs.page({
      hasWindows: true,
      limit,
      ...(jobIds !== undefined && { ids: jobIds }),
      ...(after !== undefined && { after }),
    })
    const shown = jobs.map(({ id }) => id)
    const range = { start: from, end: to, by, cells: cellStarts({ from, to, by }) }
    const counts = await store.windows.grid(shown, range)
    const rows = shown.map((jobId) => ({ jobId, cells: cellsOf(counts.get(jobId) ?? [], by) }))
    return { by, from, to, rows, next }
  }

  /**
   * Runs windows of a range again, in the background, as a backfill.
   *
   * @throws PikoError as `app.backfills.create` does
   */
  async rerun<const J extends AnyJob>(asked: KnownJob<J>, range: WindowRerun): Promise<BackfillStatus> {
    const jobId = jobIdOf('app.windows.rerun', asked)
    const { only = 'all', ...given } = optionsOf('windows.rerun', range)
    if (!this.#backfills) throw new PikoError('USAGE', 'app.windows.rerun is not available in a job')
    return (await this.#backfills.create(jobId, { ...given, only })).status()
  }

  /**
   * Marks succeeded windows as stale: the data that they wrote is no longer correct. Only windows that start within the range are marked. A
   * backfill of missing windows runs them again. Only after that do dependent windows of other jobs run again, as these jobs declare.
   *
   * @returns the number of windows
   * @throws PikoError `JOB_UNKNOWN`, `USAGE`, `CHANGE_REFUSED`
   */
  async stale<const J extends AnyJob>(asked: KnownJob<J>, range: WindowMark): Promise<{ readonly windows: number }> {
    const jobId = jobIdOf('app.windows.stale', asked)
    const { from, to } = optionsOf('windows.stale', range)
    const { store } = this.#reach()
    const job = await store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    const zone = zoneOfJob(job)
    const marked = { start: momentOf('from', from, zone), end: momentOf('to', to, zone) }
    const mark = () => store.windows.markStale(jobId, marked)
    return { windows: await changing(`windows of job "${jobId}"`, 'piko_window', mark) }
  }

  /**
   * Returns the counts by state, the bounds and the watermark of a job's ledger. If the ledger has more than about ten thousand windows,
   * `newest` makes this fast: only this many of the newest windows are counted and searched for missing ones. The watermark still includes
   * all windows that have not succeeded, but no gaps before `countedFrom`.
   */
  async summary<const J extends AnyJob>(job: KnownJob<J>, options: SummaryOptions = {}): Promise<LedgerSummary> {
    const jobId = jobIdOf('app.windows.summary', job)
    return this.#reach().store.windows.summary(jobId, optionsOf('windows.summary', options))
  }

  /**
   * Proves that a job's windows have no gap or overlap, and that each succeeded window was ended by one claim. Also proves that the rows in
   * its fenced tables are those that this claim has written. Changes nothing.
   *
   * @throws PikoError `JOB_UNKNOWN`, `WINDOW_UNKNOWN` for a job without windows, `USAGE`
   * @example
   * const { isProved, findings } = await app.windows.prove('sync_orders', { from: '2025-01-01' })
   */
  async prove<const J extends AnyJob>(asked: KnownJob<J>, range: ProofRange = {}): Promise<Certificate> {
    const jobId = jobIdOf('app.windows.prove', asked)
    const { store } = this.#reach()
    const given = optionsOf('windows.prove', range)
    const job = await store.jobs.find(jobId)
    if (!job) throw unknownJob(jobId)
    // Loaded on first use, because most processes never prove a ledger.
    const { prove } = await import('./proof/prove.ts')
    return prove(store, job, given)
  }

  /** Returns the filter with instants in place of dates. A date means the beginning of the day in the job's zone. */
  async #dated<F extends Range>(jobId: string, filter: F): Promise<F> {
    const { from, to } = filter
    if (writtenDate(from) === undefined && writtenDate(to) === undefined) return filter
    const row = await this.#reach().store.jobs.find(jobId)
    const zone = row ? zoneOfJob(row) : 'UTC'
    return {
      ...filter,
      ...(from !== undefined && { from: momentOf('from', from, zone) }),
      ...(to !== undefined && { to: momentOf('to', to, zone) }),
    }
  }
}

type Range = Pick<WindowFilter, 'from' | 'to'>
