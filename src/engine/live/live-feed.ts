import type { Settings } from '../../settings/settings.ts'
import type { EventHead, EventPage, EventStore } from '../../store/events/event-store.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import { LiveReader } from './live-reader.ts'
import { Segment } from './segment.ts'

export interface LiveFeedParts extends LoopServiceParts {
  readonly store: EventStore
  readonly settings: Settings['events']
}

/** How long to wait between two polls while there are readers. */
const POLL_MS = 250
/** How many recent events stay in memory for all readers. */
const MAX_KEPT = 20_000
const PRUNE_MS = 10_000
/** A reader gets no further segment in a call that has returned this many events. */
const MAX_AT_ONCE = 4_000
/** The maximum number of steps per poll. A step gives numbers to new rows, or deletes old ones. */
const MAX_STEPS = 20
/** The maximum number of late readers that may read from the database at the same time. */
const MAX_CATCHING_UP = 2

/**
 * The events of the fleet, for all readers of this process. One poll serves all readers; without readers there is no poll.
 *
 * A reader pulls as many events as it can process, so a slow reader needs no extra memory. Recent events come from memory, older ones from
 * the database.
 */
export class LiveFeed extends LoopService {
  readonly #parts: LiveFeedParts
  readonly #readers = new Set<LiveReader>()
  #segments: Segment[] = []
  #kept = 0
  #head: EventHead | undefined
  #last: number | undefined
  #pruneAt = -Infinity
  #tick = Promise.withResolvers<void>()
  #catchingUp = 0
  readonly #waiting: (() => void)[] = []

  constructor(parts: LiveFeedParts) {
    super('live-events', parts)
    this.#parts = parts
  }

  /** Creates a reader. @param after the id of the last event that the reader has; undefined: only new events */
  open(after?: number): LiveReader {
    const reader = new LiveReader(this, after, () => this.#readers.delete(reader))
    this.#readers.add(reader)
    this.wake()
    return reader
  }

  /** Makes all processes record their events. Returns the newest id, and whether all processes already do so. */
  async listen(): Promise<EventHead> {
    const { store, settings } = this.#parts
    const head = await store.head()
    if (head.isListened && !head.isEnding) return head
    await store.listen(settings.keepMs)
    return store.head()
  }

  /** Reads the events after an id from the database. */
  async page(after: number): Promise<EventPage> {
    const { store } = this.#parts
    await this.listen()
    await this.#number()
    return store.after(after)
  }

  /** The id of the last event in memory; undefined before the first poll. */
  get last(): number | undefined {
    return this.#last
  }

  /** Whether every process records its events; see `EventHead`. */
  get isComplete(): boolean {
    return this.#head?.isComplete ?? false
  }

  /** Resolves when there are new events, when `isComplete` changes, or when the feed stops. */
  get changed(): Promise<void> {
    return this.#tick.promise
  }

  /** Returns the recent events after an id; undefined if they are no longer in memory. */
  recent(after: number): readonly Segment[] | undefined {
    const [first] = this.#segments
    if (after === this.#last) return []
    if (!first || after < first.after) return undefined
    const from = this.#segments.findIndex(({ last }) => last > after)
    const found: Segment[] = []
    let count = 0
    for (const segment of this.#segments.slice(from)) {
      if (count >= MAX_AT_ONCE) break
      found.push(segment.from(after))
      count += segment.events.length
    }
    return found
  }

  /** Reads events from the database that are no longer in memory. Only a few readers may do this at the same time. */
  async older(after: number): Promise<EventPage> {
    while (this.#catchingUp >= MAX_CATCHING_UP) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#catchingUp += 1
    try {
      return await this.#parts.store.after(after)
    } finally {
      this.#catchingUp -= 1
      this.#waiting.shift()?.()
    }
  }

  protected override async step(): Promise<number> {
    if (this.#readers.size === 0) {
      this.#forget()
      return Infinity
    }
    const before = this.#head
    const head = await this.listen()
    this.#head = head
    await this.#number(head)
    await this.#prune()
    // This is the first poll, or recording was interrupted. So readers must find out from the database what they have missed.
    if (this.#last === undefined || this.#last < head.start) this.#begin(await this.#parts.store.head())
    const isMore = await this.#read()
    if (before?.isComplete !== head.isComplete) this.#told()
    return isMore ? 0 : POLL_MS
  }

  async #number(head?: EventHead): Promise<void> {
    if (head?.hasNew === false) return
    for (let steps = 0; steps < MAX_STEPS && (await this.#parts.store.number()); steps++);
  }

  #begin(head: EventHead): void {
    this.#forget()
    this.#head = head
    this.#last = head.last
    this.#told()
  }

  /** Reads the next events. @returns whether there may be more events */
  async #read(): Promise<boolean> {
    const after = this.#last ?? 0
    const { events, next, isExceeded } = await this.#parts.store.after(after)
    if (isExceeded) {
      this.#begin(await this.#parts.store.head())
      return false
    }
    if (next === after) return false
    this.#segments.push(new Segment(events, after, next))
    this.#kept += events.length
    this.#last = next
    while (this.#kept > MAX_KEPT && this.#segments.length > 1) this.#kept -= this.#segments.shift()?.events.length ?? 0
    this.#told()
    return true
  }

  async #prune(): Promise<void> {
    const { store, settings, clock } = this.#parts
    if (clock.monotonic() < this.#pruneAt) return
    this.#pruneAt = clock.monotonic() + PRUNE_MS
    for (let steps = 0; steps < MAX_STEPS && (await store.prune(settings.keepMs, settings.keep)); steps++);
  }

  #told(): void {
    const { resolve } = this.#tick
    this.#tick = Promise.withResolvers()
    resolve()
  }

  #forget(): void {
    this.#segments = []
    this.#kept = 0
    this.#last = undefined
    this.#head = undefined
  }

  protected override onStop(): unknown {
    for (const reader of this.#readers) reader.close()
    this.#told()
    return super.onStop()
  }
}
