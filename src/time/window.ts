/** A data interval `[start, end)` in UTC: start belongs to it, end does not. */
export interface Window {
  readonly start: Date
  readonly end: Date
}
