import { type LiveEvent, type LiveFilter, passes } from '../../live/live-event.ts'

/** The maximum number of filters whose texts a segment keeps. */
const MAX_TEXTS = 16

/** Events that were read together. All readers of this process share it, and those with the same filter share its text. */
export class Segment {
  readonly events: readonly LiveEvent[]
  /** The id before its first event, and its last id. */
  readonly after: number
  readonly last: number
  readonly #texts = new Map<string, string>()

  constructor(events: readonly LiveEvent[], after: number, last: number) {
    this.events = events
    this.after = after
    this.last = last
  }

  /** Its events that pass the filter. */
  passing(filter: LiveFilter): readonly LiveEvent[] {
    return filter.kinds || filter.jobs ? this.events.filter((event) => passes(filter, event)) : this.events
  }

  /** The same segment from a later id. */
  from(id: number): Segment {
    if (id <= this.after) return this
    return new Segment(
      this.events.filter((event) => event.id > id),
      id,
      this.last,
    )
  }

  /** The text of the events that pass the filter. @param key the same for equal filters */
  text(key: string, filter: LiveFilter, textOf: (event: LiveEvent) => string): string {
    const known = this.#texts.get(key)
    if (known !== undefined) return known
    const text = this.passing(filter).map(textOf).join('')
    if (this.#texts.size < MAX_TEXTS) this.#texts.set(key, text)
    return text
  }
}
