/** Reports what happens to resources. */
export interface ResourceObserver {
  /** A resource can't serve. Runs that need it wait from now on. */
  readonly lost: (resource: string, error: Error) => void
  /** A lost resource serves again. */
  readonly recovered: (resource: string, lostMs: number, tries: number) => void
  /** A run has got its slots after waiting this long. */
  readonly waited: (resource: string, ms: number) => void
}

/** The state of one resource of the process. */
export interface LenderState {
  readonly state: 'unopened' | 'open' | 'lost' | 'closed'
  /** The reason why the resource is lost; undefined if it is not lost. */
  readonly error: string | undefined
  /** How many instances have replaced an earlier one. */
  readonly renewals: number
  readonly checkFailures: number
}
