import { ownValue } from './decorator.ts'
import type { AnyJobSpec, JobDefinition } from './spec.ts'

/** A job that a whole class defines, such as a crawl whose steps are methods. */
export interface ClassJob {
  /** The name of the decorator for messages: `crawl`. */
  readonly name: string
  readonly spec: AnyJobSpec
  /** Creates the job. @param receiver an instance of the class */
  readonly define: (receiver: object) => JobDefinition
}

// A registered symbol, so that every copy of this package in a process sees these marks.
const CLASS_JOBS = Symbol.for('piko.job.class')

/** Makes a class the source of a job. */
export function markClass(owner: object, job: ClassJob): void {
  const value = [job, ...(ownValue<readonly ClassJob[]>(owner, CLASS_JOBS) ?? [])]
  Object.defineProperty(owner, CLASS_JOBS, { value, configurable: true })
}

/** Returns the jobs that this class itself defines, without those of its parent classes. */
export function classJobsOn(owner: unknown): readonly ClassJob[] {
  return typeof owner === 'function' ? (ownValue<readonly ClassJob[]>(owner, CLASS_JOBS) ?? []) : []
}
