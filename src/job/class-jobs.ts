import { ownValue } from './decorator.ts'
import type { AnyJobSpec, JobDefinition } from './spec.ts'

/** A job that a whole class defines, such as a crawl with its steps. */
export interface ClassJob {
  /** The decorator, for messages: `crawl`. */
  readonly name: string
  readonly spec: AnyJobSpec
  /** @param receiver an instance of the class */
  readonly define: (receiver: object) => JobDefinition
}

// This is a registered symbol, so that every copy of this package in a process sees the marks.
const CLASS_JOBS = Symbol.for('piko.job.class')

/** Makes a class the source of a job. */
export function markClass(owner: object, job: ClassJob): void {
  const value = [job, ...(ownValue<readonly ClassJob[]>(owner, CLASS_JOBS) ?? [])]
  Object.defineProperty(owner, CLASS_JOBS, { value, configurable: true })
}

/** The jobs that this class itself defines, without those of its parents. */
export function classJobsOn(owner: unknown): readonly ClassJob[] {
  return typeof owner === 'function' ? (ownValue<readonly ClassJob[]>(owner, CLASS_JOBS) ?? []) : []
}
