import { type JobRegistry } from '../job/registry.ts'
import { Service } from '../service/service.ts'
import { type Agenda, type JobStore } from '../store/job-store.ts'
import { registrationOf } from './plan-job.ts'

/** Writes what the code says about its jobs. Only a node that plans does: from then on their ticks are owed. */
export class Registration extends Service {
  readonly #jobs: JobStore
  readonly #registry: JobRegistry
  readonly #agenda: () => Promise<Agenda>

  constructor(jobs: JobStore, registry: JobRegistry, agenda: () => Promise<Agenda>) {
    super({ name: 'registration' })
    this.#jobs = jobs
    this.#registry = registry
    this.#agenda = agenda
  }

  protected override async onStart(): Promise<void> {
    const { now } = await this.#agenda()
    await this.#jobs.register([...this.#registry].map((job) => registrationOf(job, now)))
  }
}
