import { PikoError } from '../errors.ts'
import type { ResourceClass, ResourceContext, ResourceMap, ServiceClass } from './resource.ts'
import { type Borrowed, ResourcePool, type ResourceStats } from './resource-pool.ts'
import type { StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'

/** Time for loans still being returned after the last run has ended. */
const LATE_RETURN_MS = 1_000

/**
 * The process's resources. After a crash a new pool lends. The old one closes after its borrowers have returned, so running runs keep what
 * they hold.
 */
export class ResourcesService extends Service {
  #pool = new ResourcePool()
  readonly #retired: Promise<void>[] = []
  #services: readonly Service[] = []

  constructor() {
    super({ name: 'resources' })
  }

  /** Adds the user's services that runs borrow by class. */
  lend(services: readonly Service[]): this {
    this.#services = services
    return this
  }

  /**
   * Borrows the values of a run's map. Any number of runs may borrow a service at the same time, as long as it is running.
   *
   * @throws PikoError `RESOURCE_FAILED`, as `ResourcePool.borrow`
   */
  async borrow(map: ResourceMap, ctx: ResourceContext): Promise<Borrowed> {
    const services: Record<string, Service> = {}
    const resources: Record<string, ResourceClass> = {}
    for (const [key, source] of Object.entries(map)) {
      if (source.prototype instanceof Service) services[key] = this.#running(source as ServiceClass)
      else resources[key] = source as ResourceClass
    }
    const borrowed = await this.#pool.borrow(resources, ctx)
    return { values: { ...borrowed.values, ...services }, release: (outcome) => borrowed.release(outcome) }
  }

  #running(wanted: ServiceClass): Service {
    const service = this.#services.find((candidate) => candidate instanceof wanted)
    const problem = service
      ? `it is ${service.state}`
      : 'it is not among the services of the app; expected new Piko({ services: […] })'
    if (service?.isRunning) return service
    throw new PikoError('RESOURCE_FAILED', `service ${wanted.name} can't be borrowed: ${problem}`, {
      details: { service: wanted.name },
    })
  }

  stats(): ResourceStats[] {
    return this.#pool.stats()
  }

  /** @throws PikoError `RESOURCE_FAILED` naming those that can't serve */
  check(): Promise<void> {
    return this.#pool.check()
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') {
      const closed = this.#pool
        .close()
        .catch((error: unknown) => this.log.error({ err: error }, 'closing resources failed'))
      this.#retired.push(closed)
      this.#pool = new ResourcePool()
      return
    }
    // A handler that continues after all deadlines must not keep the process alive: its resources are closed while it uses them.
    // `AbortSignal.timeout` would not do: a process that waits for nothing else would end.
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), LATE_RETURN_MS)
    try {
      await this.#pool.close(deadline.signal)
      await untilAborted(Promise.all(this.#retired), deadline.signal)
    } finally {
      clearTimeout(timer)
    }
  }
}

async function untilAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  await Promise.race([work, aborted])
}
