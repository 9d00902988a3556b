import { Segment } from './segment.ts'

/** The events that a reader gets from one call. */
export interface LiveBatch {
  readonly segments: readonly Segment[]
  /** The id after which the next batch begins. */
  readonly last: number
  /** False while the database has not answered yet. */
  readonly isOpen: boolean
  /** Whether every process records its events. Until then, events of some processes may be missing. */
  readonly isComplete: boolean
  /**
   * Set if events after this id are missing: they were deleted, or not recorded because there was no reader. The reader continues with the
   * next event.
   */
  readonly exceeded?: number
}

/** What a reader needs from the feed. */
interface Feed {
  readonly last: number | undefined
  readonly isComplete: boolean
  readonly changed: Promise<void>
  recent(after: number): readonly Segment[] | undefined
  older(after: number): Promise<{
    readonly events: Segment['events']
    readonly next: number
    readonly isExceeded: boolean
  }>
}

/**
 * How long to wait for an id that this node does not know yet. In a cluster, the database server of this node may lag behind the others.
 */
const MAX_AHEAD_MS = 5_000

/** One reader of the events. It is only a position in the feed and has no queue. */
export class LiveReader {
  readonly #feed: Feed
  readonly #onClose: () => void
  #last: number | undefined
  #aheadSince: number | undefined
  #isClosed = false
  #isOpen = false

  constructor(feed: Feed, after: number | undefined, onClose: () => void) {
    this.#feed = feed
    this.#last = after
    this.#onClose = onClose
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  close(): void {
    this.#isClosed = true
    this.#onClose()
  }

  /**
   * Returns the next events. If there are none for `waitMs`, returns no segments. Undefined: the reader was closed, or the feed has
   * stopped.
   */
  async next(waitMs: number): Promise<LiveBatch | undefined> {
    const until = performance.now() + waitMs
    while (!this.#isClosed) {
      const batch = await this.#look()
      if (batch) return batch
      const leftMs = until - performance.now()
      if (leftMs <= 0) return { ...this.#batch([]), isOpen: this.#isOpen }
      await withinMs(this.#feed.changed, leftMs)
    }
    return undefined
  }

  async #look(): Promise<LiveBatch | undefined> {
    const { last } = this.#feed
    if (last === undefined) return undefined
    if (this.#last === undefined) return this.#batch([], last)
    if (this.#last > last) return this.#isTooFarAhead() ? this.#exceeded(last) : undefined
    this.#aheadSince = undefined
    const after = this.#last
    const recent = this.#feed.recent(after)
    if (recent) return recent.length === 0 ? undefined : this.#batch(recent, recent.at(-1)?.last)
    const { events, next, isExceeded } = await this.#feed.older(after)
    if (isExceeded) return this.#exceeded(this.#feed.last ?? last)
    return next === after ? undefined : this.#batch([new Segment(events, after, next)], next)
  }

  #isTooFarAhead(): boolean {
    this.#aheadSince ??= performance.now()
    return performance.now() - this.#aheadSince > MAX_AHEAD_MS
  }

  #exceeded(last: number): LiveBatch {
    const exceeded = this.#last as number
    this.#aheadSince = undefined
    return { ...this.#batch([], last), exceeded }
  }

  #batch(segments: readonly Segment[], last = this.#last): LiveBatch {
    this.#last = last
    this.#isOpen ||= this.#feed.last !== undefined
    return { segments, last: last ?? 0, isOpen: last !== undefined, isComplete: this.#feed.isComplete }
  }
}

async function withinMs(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  try {
    await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))])
  } finally {
    clearTimeout(timer)
  }
}
