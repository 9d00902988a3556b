import { PikoError } from '../errors.ts'
import { type ResourceClass, type ResourceContext, type ResourceMap, type ServiceClass } from './resource.ts'
import { type Borrowed, ResourcePool, type ResourceStats } from './resource-pool.ts'
import { type StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'

/** For loans that are on their way back when the last run has ended. */
const LATE_RETURN_MS = 1_000

/**
 * The process's resources. After a crash a new pool lends; the old one closes when its borrowers have returned, so that
 * runs under way keep what they hold.
 */
export class ResourcesService extends Service {
  #pool = new ResourcePool()
  readonly #retired: Promise<void>[] = []
  #services: readonly Service[] = []

  constructor() {
    super({ name: 'resources' })
  }

  /** Services of the user's that runs borrow by their class. */
  lend(services: readonly Service[]): this {
    this.#services = services
    return this
  }

  /**
   * Borrows what a run's map names. A service is lent to any number of runs at once, as long as it is running.
   *
   * @throws PikoError `RESOURCE_FAILED`, as `ResourcePool.borrow` does
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
    // A handler that goes on after all deadlines must not keep the process: what it has borrowed is closed under it.
    // Not `AbortSignal.timeout`, which lets a process end that waits for nothing else.
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
