import { type LiveEvent, type LiveFilter, passes } from '../../live/live-event.ts'

/** The maximum number of filters for which a segment caches its bytes. */
const MAX_FILTERS = 16

/** Events that were read together. All readers of this process share a segment, and readers with the same filter share its bytes. */
export class Segment {
  readonly events: readonly LiveEvent[]
  /** The id before the first event of the segment. */
  readonly after: number
  /** The id of the last event of the segment. */
  readonly last: number
  readonly #bytes = new Map<string, Buffer>()

  constructor(events: readonly LiveEvent[], after: number, last: number) {
    this.events = events
    this.after = after
    this.last = last
  }

  /** Returns the events that pass the filter. */
  passing(filter: LiveFilter): readonly LiveEvent[] {
    return filter.kinds || filter.jobs ? this.events.filter((event) => passes(filter, event)) : this.events
  }

  /** Returns the part of this segment after an id. */
  from(id: number): Segment {
    if (id <= this.after) return this
    return new Segment(
      this.events.filter((event) => event.id > id),
      id,
      this.last,
    )
  }

  /**
   * Returns the events that pass the filter as UTF-8 text.
   *
   * @param key must be the same for equal filters
   */
  bytes(key: string, filter: LiveFilter, textOf: (event: LiveEvent) => string): Buffer {
    const known = this.#bytes.get(key)
    if (known) return known
    const bytes = Buffer.from(this.passing(filter).map(textOf).join(''))
    if (this.#bytes.size < MAX_FILTERS) this.#bytes.set(key, bytes)
    return bytes
  }
}
