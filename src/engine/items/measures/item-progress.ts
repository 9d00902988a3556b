import type { Events, StepProgress } from '../../../events.ts'
import { summedItems } from '../../../item/item-counts.ts'
import type { ItemStore } from '../../../store/items/item-store.ts'
import type { ItemRuns } from '../item-runs.ts'

export interface ItemProgressParts {
  readonly store: Pick<ItemStore, 'counts' | 'running'>
  readonly runs: Pick<ItemRuns, 'get'>
  readonly events: Events
  readonly monotonic: () => number
  readonly isCrawl: (jobId: string) => boolean
}

interface Told {
  readonly ended: number
  readonly at: number
}

/** Emits the progress of all runs with items on this node. */
export class ItemProgress {
  readonly #parts: ItemProgressParts
  #told = new Map<number, Told>()

  constructor(parts: ItemProgressParts) {
    this.#parts = parts
  }

  async tell(fences: Iterable<number>): Promise<void> {
    const told = new Map<number, Told>()
    for (const fence of fences) {
      const now = await this.#tell(fence)
      if (now) told.set(fence, now)
    }
    this.#told = told
  }

  async #tell(fence: number): Promise<Told | undefined> {
    const { store, runs, events, monotonic, isCrawl } = this.#parts
    const info = runs.get(fence)
    if (!info) return undefined
    const [counts, running] = await Promise.all([store.counts(fence), store.running(fence)])
    const { all, kinds, reasons } = summedItems(counts, running)
    const run = { runId: info.run.id, jobId: info.run.job_id }
    events.emit('items.progress', { ...run, ...all })
    const left = all.queued + all.running
    const now: Told = { ended: Math.max(0, all.total - left), at: monotonic() }
    if (isCrawl(run.jobId)) {
      const perSecond = speedOf(this.#told.get(fence), now)
      events.emit('crawl.progress', {
        ...{ ...run, ...all, perSecond, reasons, steps: stepsOf(kinds) },
        etaMs: perSecond > 0 && left > 0 ? Math.round((left / perSecond) * 1_000) : undefined,
      })
    }
    return now
  }
}

function speedOf(before: Told | undefined, now: Told): number {
  if (!before || now.at <= before.at) return 0
  return Math.max(0, ((now.ended - before.ended) / (now.at - before.at)) * 1_000)
}

function stepsOf(kinds: ReturnType<typeof summedItems>['kinds']): Readonly<Record<string, StepProgress>> {
  return Object.fromEntries(
    Object.entries(kinds).map(([step, { total, open, done, dead, skipped }]) => [
      step,
      { total, open, done, dead, skipped },
    ]),
  )
}
