import type { FactName, Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** One rule of the doctor: a pure function of gathered facts. */
export interface Check<N extends FactName = FactName> {
  /** Its stable name. The names of its findings begin with it. */
  readonly id: string
  /** The facts that it judges. Without one of them it can't run. */
  readonly needs: readonly N[]
  find(this: void, facts: Pick<Facts, N>): readonly Finding[]
}

/** Defines a check. The facts that `find` receives are those of `needs`. */
export function check<const N extends FactName>(given: Check<N>): Check {
  // `diagnose` passes the needed facts.
  return given
}
