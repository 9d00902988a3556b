import type { LiveEvent, LiveFilter } from '../../live/live-event.ts'

/** Which events to return, and where to begin. */
export interface LiveRequest extends LiveFilter {
  /** The id of the last event that the caller has. Default: only new events. */
  readonly after?: number
}

/** A page of events, in order. */
export interface LivePage {
  readonly items: readonly LiveEvent[]
  /** The value to pass as `after` for the next page. */
  readonly next: number
  /** Whether events after the requested id are missing: they were deleted, or not recorded because there was no reader. */
  readonly isExceeded: boolean
}

export interface LiveFollow extends LiveRequest {
  /** Aborting this signal ends the iteration. */
  readonly signal?: AbortSignal
}
