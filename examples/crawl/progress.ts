import type { Piko } from 'piko'
import { DAYS } from './data.ts'

const count = new Intl.NumberFormat('en')

/** What a crawl of all days has done so far. */
export interface CrawlProgress {
  readonly days: number
  readonly failed: number
  /** Pages of the days under way, by state. */
  readonly pages: { readonly done: number; readonly queued: number; readonly running: number; readonly dead: number }
  readonly perSecond: number
}

/** Reads the ledger, and the pages of the days that are under way. */
export async function progressOf(app: Piko, jobId: string): Promise<CrawlProgress> {
  const { counts } = await app.windows.summary(jobId)
  const running = await app.runs.list({ jobId, state: 'running' })
  const asked = await Promise.allSettled(running.map(({ id }) => app.items.status(id)))
  // A run that has not stored its seeds has no pages.
  const statuses = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  const sum = (of: (status: (typeof statuses)[number]) => number): number =>
    statuses.reduce((total, status) => total + of(status), 0)
  return {
    days: counts.succeeded,
    failed: counts.failed,
    pages: {
      done: sum(({ done }) => done),
      queued: sum(({ queued }) => queued),
      running: sum(({ running: now }) => now),
      dead: sum(({ dead }) => dead),
    },
    perSecond: sum(({ perSecond }) => perSecond),
  }
}

/** `3 of 10 days; pages under way: 120 done, 40 queued, 16 loading, 0 dead, 210/s` */
export function progressText({ days, pages, perSecond }: CrawlProgress): string {
  const { done, queued, running, dead } = pages
  return (
    `  ${days} of ${DAYS} days; pages of the days under way: ${count.format(done)} done, ${count.format(queued)} queued, ` +
    `${running} loading, ${dead} dead, ${count.format(Math.round(perSecond))}/s`
  )
}
