import type { FactName, Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** One check of the doctor: a pure function of collected facts. */
export interface Check<N extends FactName = FactName> {
  /** The name of the check, which never changes. The names of its findings begin with it. */
  readonly id: string
  /** The facts that the check needs. If a fact is missing, the check can't run. */
  readonly needs: readonly N[]
  find(this: void, facts: Pick<Facts, N>): readonly Finding[]
}

/** Defines a check. `find` receives the facts in `needs`. */
export function check<const N extends FactName>(given: Check<N>): Check {
  // This widening of the type is safe, because `diagnose` passes the needed facts.
  return given
}
