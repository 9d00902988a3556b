import type { CoverageFilter, LedgerSpan } from '../store/windows/ledger-spans.ts'
import type { LedgerSummary, LedgerWindow, WindowFilter } from '../store/windows/window-store.ts'
import type { AnyJob, KnownJob } from '../job/job-types.ts'
import { zoneOfJob } from '../engine/planning/stored-job.ts'
import { momentOf, writtenDate } from '../time/local-dates.ts'
import { unknownJob } from '../store/jobs/unknown-job.ts'
import { optionsOf } from './call-options.ts'
import { jobIdOf } from './job-id.ts'
import type { Certificate, ProofRange } from './proof/certificate.ts'
import type { Reach } from './reach.ts'

/** The ledgers of jobs with windows: `app.windows`. */
export class Windows {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /** Windows of a job's ledger, oldest first. @param filter.limit default 100 */
  async list<const J extends AnyJob>(asked: KnownJob<J>, filter: WindowFilter = {}): Promise<LedgerWindow[]> {
    const jobId = jobIdOf('app.windows.list', asked)
    const given = await this.#dated(jobId, optionsOf('windows.list', filter))
    return this.#reach().store.windows.list(jobId, given)
  }

  /**
   * A job's ledger, oldest first, as spans of adjacent windows in the same state and the gaps between them.
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

  /** Counts by state, bounds and watermark of a job's ledger. */
  async summary<const J extends AnyJob>(job: KnownJob<J>): Promise<LedgerSummary> {
    return this.#reach().store.windows.summary(jobIdOf('app.windows.summary', job))
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

  /** The filter with instants instead of dates. A date means the beginning of the day in the job's zone. */
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
