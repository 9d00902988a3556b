import type { CoverageFilter, LedgerSpan } from '../store/windows/ledger-spans.ts'
import type { LedgerSummary, LedgerWindow, WindowFilter } from '../store/windows/window-store.ts'
import { optionsOf } from './call-options.ts'
import type { Reach } from './reach.ts'

/** The ledgers of jobs with windows: `app.windows`. */
export class Windows {
  readonly #reach: () => Pick<Reach, 'store'>

  constructor(reach: () => Pick<Reach, 'store'>) {
    this.#reach = reach
  }

  /** Windows of a job's ledger, oldest first. @param filter.limit default 100 */
  async list(jobId: string, filter: WindowFilter = {}): Promise<LedgerWindow[]> {
    return this.#reach().store.windows.list(jobId, optionsOf('windows.list', filter))
  }

  /**
   * A job's ledger, oldest first, as spans of neighbouring windows in the same state and the holes between them.
   *
   * @param filter.limit default 100
   * @example
   * const holes = (await app.windows.coverage('sync_orders')).filter(({ state }) => state !== 'succeeded')
   */
  async coverage(jobId: string, filter: CoverageFilter = {}): Promise<LedgerSpan[]> {
    return this.#reach().store.windows.coverage(jobId, optionsOf('windows.coverage', filter))
  }

  /** Counts by state, bounds and watermark of a job's ledger. */
  async summary(jobId: string): Promise<LedgerSummary> {
    return this.#reach().store.windows.summary(jobId)
  }
}
