import { type JobRegistry } from '../job/registry.ts'
import { Service } from '../service/service.ts'
import { type Agenda, type JobStore } from '../store/job-store.ts'
import { type OwnPlans } from './own-plans.ts'
import { registrationOf } from './plan-job.ts'

/** Writes what the code says about its jobs. Only a node that plans does: from then on their ticks are owed. */
export class Registration extends Service {
  readonly #jobs: JobStore
  readonly #registry: JobRegistry
  readonly #agenda: () => Promise<Agenda>
  readonly #own: OwnPlans

  /** @param own gets the jobs that a leader with older code does not plan */
  constructor(jobs: JobStore, registry: JobRegistry, agenda: () => Promise<Agenda>, own: OwnPlans) {
    super({ name: 'registration' })
    this.#jobs = jobs
    this.#registry = registry
    this.#agenda = agenda
    this.#own = own
  }

  protected override async onStart(): Promise<void> {
    const { now } = await this.#agenda()
    const added = await this.#jobs.register([...this.#registry].map((job) => registrationOf(job, now)))
    for (const { id, planAt } of added) this.#own.keep(id, planAt)
  }
}
