import { type JobRegistry } from '../job/registry.ts'
import { Service } from '../service/service.ts'
import { type JobStore } from '../store/job-store.ts'
import { registrationOf } from './plan-job.ts'

/** Writes what the code says about its jobs. Only a node that plans does: from then on their ticks are owed. */
export class Registration extends Service {
  readonly #jobs: JobStore
  readonly #registry: JobRegistry

  constructor(jobs: JobStore, registry: JobRegistry) {
    super({ name: 'registration' })
    this.#jobs = jobs
    this.#registry = registry
  }

  protected override async onStart(): Promise<void> {
    const { now } = await this.#jobs.agenda()
    await this.#jobs.register([...this.#registry].map((job) => registrationOf(job, now)))
  }
}
