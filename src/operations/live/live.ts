import type { LiveBatch, LiveReader } from '../../engine/live/live-reader.ts'
import type { Segment } from '../../engine/live/segment.ts'
import { type LiveEvent, type LiveFilter, type LiveSignal, passes } from '../../live/live-event.ts'
import { optionsOf } from '../call-options.ts'
import type { Reach } from '../reach.ts'
import type { LiveFollow, LivePage, LiveRequest } from './live-options.ts'

/** The maximum time until a follower that gets no events notices an abort. */
const WAIT_MS = 15_000

/** `app.live`: the events of the fleet. They are stored while there are readers, and for some time after the last one. */
export class Live {
  readonly #reach: () => Pick<Reach, 'feed'>

  constructor(reach: () => Pick<Reach, 'feed'>) {
    this.#reach = reach
  }

  /**
   * Returns a reader for code that serializes the events itself.
   *
   * @throws PikoError `STOPPED`
   */
  static reader(live: Live, after: number | undefined): LiveReader {
    return live.#reach().feed.open(after)
  }

  /**
   * Returns the events after an id, at most a few thousand. Without `after`, it returns no events; pass `next` as `after` to the next call.
   */
  async page(request: LiveRequest = {}): Promise<LivePage> {
    const { feed } = this.#reach()
    const { after, ...filter } = optionsOf('live.page', request)
    if (after === undefined) return { items: [], next: (await feed.listen()).last, isExceeded: false }
    const { events, next, isExceeded } = await feed.page(after)
    if (isExceeded) return { items: [], next: (await feed.listen()).last, isExceeded }
    return { items: passing(filter, events), next, isExceeded }
  }

  /**
   * Follows the events of all processes until `signal` aborts or the app stops. Also yields events about the reader itself: `open`,
   * `complete` and `span_exceeded`. A slow caller delays only itself.
   */
  async *follow(request: LiveFollow = {}): AsyncGenerator<LiveEvent | LiveSignal, void, undefined> {
    const { feed } = this.#reach()
    const { after, signal, ...filter } = optionsOf('live.follow', request)
    const reader = feed.open(after)
    const end = (): void => reader.close()
    signal?.addEventListener('abort', end, { once: true })
    try {
      let state: ReaderState = NOT_OPEN
      while (!signal?.aborted) {
        const batch = await reader.next(WAIT_MS)
        if (!batch) return
        const signals = signalsOf(state, batch)
        state = { isOpen: batch.isOpen, isComplete: batch.isComplete }
        yield* signals
        for (const segment of batch.segments) yield* segment.passing(filter)
      }
    } finally {
      signal?.removeEventListener('abort', end)
      reader.close()
    }
  }
}

export interface ReaderState {
  readonly isOpen: boolean
  readonly isComplete: boolean
}

export const NOT_OPEN: ReaderState = { isOpen: false, isComplete: false }

/** Returns the signals that a reader gets before the events of a batch. */
export function signalsOf(before: ReaderState, batch: LiveBatch): LiveSignal[] {
  if (!batch.isOpen) return []
  const { isComplete, exceeded } = batch
  const id = batch.segments[0]?.after ?? batch.last
  const signals: LiveSignal[] = []
  if (!before.isOpen) signals.push({ kind: 'open', id, isComplete })
  else if (isComplete && !before.isComplete) signals.push({ kind: 'complete', id })
  if (exceeded !== undefined) signals.push({ kind: 'span_exceeded', id, after: exceeded })
  return signals
}

function passing(filter: LiveFilter, events: Segment['events']): readonly LiveEvent[] {
  return filter.kinds || filter.jobs ? events.filter((event) => passes(filter, event)) : events
}
