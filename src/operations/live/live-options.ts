import type { LiveEvent, LiveFilter } from '../../live/live-event.ts'

/** Selects events, and where to begin. */
export interface LiveRequest extends LiveFilter {
  /** The last id that the caller knows. Default: begins with the next event. */
  readonly after?: number
}

/** A page of events, in order. */
export interface LivePage {
  readonly items: readonly LiveEvent[]
  /** The value to pass as `after` for the next page. */
  readonly next: number
  /** Whether events after the requested id are missing, because they were deleted, or because there was no listener. */
  readonly isExceeded: boolean
}

export interface LiveFollow extends LiveRequest {
  /** Aborting this signal ends the iteration. */
  readonly signal?: AbortSignal
}
