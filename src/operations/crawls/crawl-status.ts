import type { StoredItem, LaneStatus } from '../../store/items/list-items.ts'
import type { ItemsStatus } from '../items/item-status.ts'

/** A page of a crawl, as stored. */
export interface CrawlPage extends Omit<StoredItem, 'kind' | 'key' | 'lane'> {
  readonly step: string
  /** Its method and its canonical URL. */
  readonly request: string
  readonly host: string
}

/** Some pages. `next` is the `after` of the next ones; undefined at the end. */
export interface CrawlPages {
  readonly runId: number
  readonly pages: readonly CrawlPage[]
  readonly next: number | undefined
}

/** The pages of a run: the answer of `app.crawls.status`. */
export interface CrawlStatus extends Omit<ItemsStatus, 'kinds' | 'reasons' | 'skipped' | 'duplicates' | 'left'> {
  /**
   * By reason: `robots`, `duplicate`, what steps passed to `ctx.skip`, and the limits `items` and `depth`, which left requests out.
   */
  readonly skipped: Readonly<Record<string, number>>
  readonly steps: Readonly<Record<string, StepCounts>>
}

/** The pages of a step. */
export interface StepCounts {
  readonly total: number
  /** Queued or running. */
  readonly open: number
  readonly done: number
  readonly dead: number
  readonly skipped: number
  readonly cancelled: number
  readonly duplicates: number
  readonly bytes: number
  /** The time that its pages took, in milliseconds. */
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

/** A host that pages are loaded from, over all crawls. */
export type CrawlLane = LaneStatus

/** What a replay has done. */
export interface CrawlReplayed {
  /** Pages that are queued again. */
  readonly pages: number
  /** Their runs. */
  readonly runs: readonly number[]
  /** Runs whose pages were not queued, and why: a later run has their window, or they begin anew. */
  readonly refused: readonly { readonly runId: number; readonly reason: string }[]
}
