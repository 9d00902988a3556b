import { type JobRegistry } from '../job/registry.ts'
import { Service } from '../service/service.ts'
import { type JobStore } from '../store/job-store.ts'
import { type Clock } from './clock.ts'
import { registrationOf } from './plan-job.ts'

/** Writes what the code says about its jobs. Only a node that plans does: from then on their ticks are owed. */
export class Registration extends Service {
  readonly #jobs: JobStore
  readonly #registry: JobRegistry
  readonly #time: Clock

  constructor(jobs: JobStore, registry: JobRegistry, clock: Clock) {
    super({ name: 'registration' })
    this.#jobs = jobs
    this.#registry = registry
    this.#time = clock
  }

  protected override async onStart(): Promise<void> {
    const now = new Date(this.#time.now())
    await this.#jobs.register([...this.#registry].map((job) => registrationOf(job, now)))
  }
}
