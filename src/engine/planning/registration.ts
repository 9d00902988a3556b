import type { JobRegistry } from '../../job/registry.ts'
import type { JobDefinition } from '../../job/spec.ts'
import { isOptionFault } from '../../option-function.ts'
import { BrokenRow } from '../../store/values/broken-row.ts'
import type { JobStore } from '../../store/jobs/job-store.ts'
import { mapInTurns } from '../../loop-turn.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { OwnPlans } from './own-plans.ts'
import { registrationOf } from './plan-job.ts'
import type { Agenda } from '../../store/jobs/plan.ts'
import type { JobRegistration } from '../../store/jobs/job-row.ts'

/** How long to wait before trying again to register a job. */
const PAUSE_MS = 10_000

export interface RegistrationParts extends LoopServiceParts {
  readonly jobs: JobStore
  readonly registry: JobRegistry
  readonly agenda: () => Promise<Agenda>
  /** Receives the jobs that a leader with older code does not plan. */
  readonly own: OwnPlans
}

/**
 * Writes the jobs as declared in code to the database. Only a node that plans does this, because these jobs must run on time from now on.
 *
 * A user's calendar function may decide where planning begins. If a job's function fails or a row can't be read, the job is skipped and
 * tried again later. Until then, its earlier data stays in the database, and all other jobs continue.
 */
export class Registration extends LoopService {
  readonly #parts: RegistrationParts
  #setAside: readonly JobDefinition[] = []
  #retryAt = 0

  constructor(parts: RegistrationParts) {
    super('registration', parts)
    this.#parts = parts
  }

  protected override async onStart(): Promise<void> {
    await this.#register([...this.#parts.registry])
    if (this.#setAside.length > 0) await super.onStart()
  }

  protected override async step(): Promise<number> {
    const leftMs = this.#retryAt - this.#parts.clock.monotonic()
    if (leftMs > 0) return leftMs
    await this.#register(this.#setAside)
    return this.#setAside.length === 0 ? Infinity : PAUSE_MS
  }

  async #register(jobs: readonly JobDefinition[]): Promise<void> {
    const { now } = await this.#parts.agenda()
    const setAside: JobDefinition[] = []
    const refuse = (job: JobDefinition, thrown: unknown): void => {
      setAside.push(job)
      if (thrown instanceof BrokenRow) this.#parts.jobs.broken.report(thrown)
      else this.#parts.loops.failed({ loop: this.name, thrown, retryInMs: PAUSE_MS, failures: 1 })
    }
    const read = await mapInTurns(jobs, (job) => {
      try {
        return [{ job, registration: registrationOf(job, now) }]
      } catch (thrown) {
        refuse(job, thrown)
        return []
      }
    })
    let readable = read.flat()
    for (;;) {
      const fault = await this.#write(readable.map(({ registration }) => registration))
      if (!fault) break
      // The transaction itself calls the user's function, to find where a changed schedule continues. Rows that have already been written
      // may be written again.
      refuse((readable.find(({ job }) => job.id === fault.jobId) as { job: JobDefinition }).job, fault.thrown)
      readable = readable.filter(({ job }) => job.id !== fault.jobId)
    }
    this.#setAside = setAside
    this.#retryAt = this.#parts.clock.monotonic() + PAUSE_MS
  }

  /** Writes the jobs. Returns the job whose function failed or whose row can't be read, if any. */
  async #write(registrations: readonly JobRegistration[]): Promise<{ jobId: string; thrown: unknown } | undefined> {
    try {
      const added = await this.#parts.jobs.register(registrations)
      for (const { id, planAt } of added) this.#parts.own.keep(id, planAt)
      return undefined
    } catch (thrown) {
      const brokenId = thrown instanceof BrokenRow ? thrown.jobId : undefined
      const failed = registrations.find(({ id }) => id === brokenId || isOptionFault(thrown, id))
      if (failed) return { jobId: failed.id, thrown }
      throw thrown
    }
  }
}
