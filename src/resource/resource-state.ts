/** Reports what happens to resources. */
export interface ResourceObserver {
  /** It can't serve. Runs that need it wait from now on. */
  readonly lost: (resource: string, error: Error) => void
  /** It serves again. */
  readonly recovered: (resource: string, lostMs: number, tries: number) => void
  /** A run has got its slots after this time. */
  readonly waited: (resource: string, ms: number) => void
}

/** What is known about one resource of the process. */
export interface LenderState {
  readonly state: 'unopened' | 'open' | 'lost' | 'closed'
  /** Why it is lost. */
  readonly error: string | undefined
  /** Instances that have replaced an earlier one. */
  readonly renewals: number
  readonly checkFailures: number
}
