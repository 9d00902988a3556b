import type { StoredItem, LaneStatus } from '../../store/items/list-items.ts'
import type { ItemsStatus } from '../items/item-status.ts'

/** A page of a crawl, as stored. */
export interface CrawlPage extends Omit<StoredItem, 'kind' | 'key' | 'lane'> {
  readonly step: string
  /** The method and the canonical URL of the page's request. */
  readonly request: string
  readonly host: string
}

/** A part of a list of pages. For the next part, pass `next` as `after`; it is undefined if this is the last part. */
export interface CrawlPages {
  readonly runId: number
  readonly pages: readonly CrawlPage[]
  readonly next: number | undefined
}

/** The status of a run's pages, as `app.crawls.status` returns it. */
export interface CrawlStatus extends Omit<ItemsStatus, 'kinds' | 'reasons' | 'skipped' | 'duplicates' | 'left'> {
  /**
   * How many pages were skipped, by reason. Reasons are `robots`, `duplicate`, those that steps passed to `ctx.skip`, and the limits that
   * left out a request: `items` and `depth`.
   */
  readonly skipped: Readonly<Record<string, number>>
  readonly steps: Readonly<Record<string, StepCounts>>
}

/** How many pages of a step are in each state. */
export interface StepCounts {
  readonly total: number
  /** How many pages are queued or running. */
  readonly open: number
  readonly done: number
  readonly dead: number
  readonly skipped: number
  readonly cancelled: number
  readonly duplicates: number
  readonly bytes: number
  /** The total duration of the attempts in which the step's pages ended, in milliseconds. */
  readonly ms: number
}

export function crawlStatusOf(status: ItemsStatus): CrawlStatus {
  const { kinds, reasons, skipped: _skipped, duplicates, left: _left, ...rest } = status
  const steps = Object.entries(kinds).map(([step, { left: _ownLeft, ...counts }]): [string, StepCounts] => [
    step,
    counts,
  ])
  return {
    ...rest,
    skipped: { ...reasons, ...(duplicates > 0 && { duplicate: duplicates }) },
    steps: Object.fromEntries(steps),
  }
}

export function crawlPageOf({ kind, key, lane, ...item }: StoredItem): CrawlPage {
  return { ...item, step: kind, request: key, host: lane }
}

/** A host from which pages are loaded. All crawls share it. */
export type CrawlLane = LaneStatus

/** The result of a replay. */
export interface CrawlReplayed {
  /** How many pages are queued again. */
  readonly pages: number
  /** The runs to which these pages belong. */
  readonly runs: readonly number[]
  /** Runs whose pages were not queued again, with the reason. For example, a later run has executed the window. */
  readonly refused: readonly { readonly runId: number; readonly reason: string }[]
}
