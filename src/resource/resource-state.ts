/** Reports what happens to resources. */
export interface ResourceObserver {
  /** Called when a resource can't be used. Runs that need it must wait from now on. */
  readonly lost: (resource: string, error: Error) => void
  /** Called when a lost resource can be used again. */
  readonly recovered: (resource: string, lostMs: number, tries: number) => void
  /** Called when a run has obtained its slots after waiting this long. */
  readonly waited: (resource: string, ms: number) => void
}

/** The state of one resource of the process. */
export interface LenderState {
  readonly state: 'unopened' | 'open' | 'lost' | 'closed'
  /** Why the resource is lost; undefined if it is not. */
  readonly error: string | undefined
  /** How many instances have replaced an earlier instance. */
  readonly renewals: number
  readonly checkFailures: number
}
