import type { Clock } from '../clock.ts'
import { PikoError } from '../errors.ts'
import type { StopReason } from '../service/lifecycle-parts.ts'
import { Service } from '../service/service.ts'
import { untilAborted } from '../signals/until-aborted.ts'
import { type Borrowed, ResourcePool, type ResourcePoolParts, type ResourceStats } from './resource-pool.ts'
import type { ResourceObserver } from './resource-state.ts'
import type { Borrower, ResourceMap, ServiceClass } from './resource.ts'

/** After the last run has ended, how long to wait for values that are still being returned, in milliseconds. */
const LATE_RETURN_MS = 1_000

export interface ResourcesParts {
  readonly clock: Clock
  readonly observer: ResourceObserver
  /** Creates an instance of a resource. See `ResourcePoolParts`. */
  readonly construct?: ResourcePoolParts['construct'] | undefined
}

/**
 * The resources of the process as a service. After a crash, a new pool serves new runs. The old pool closes when all its values have been
 * returned, so runs in progress keep their values.
 */
export class ResourcesService extends Service {
  readonly #parts: ResourcesParts
  #pool: ResourcePool
  readonly #retired: Promise<void>[] = []
  #services: readonly Service[] = []
  #maps: readonly ResourceMap[] = []

  constructor(parts: ResourcesParts) {
    super({ name: 'resources' })
    this.#parts = parts
    this.#pool = this.#newPool()
  }

  /** Adds the user's services. Runs can borrow them by their class. */
  lend(services: readonly Service[]): this {
    this.#services = services
    return this
  }

  /**
   * Prepares the maps of the jobs, so that lists contain their resources before they are used.
   *
   * @throws PikoError `RESOURCE_INVALID`
   */
  prepare(maps: readonly ResourceMap[]): this {
    this.#maps = maps
    for (const map of maps) this.#pool.prepare(map)
    return this
  }

  /** Returns how many slots one attempt takes of each resource with a size. */
  demandsOf(map: ResourceMap): { readonly name: string; readonly size: number; readonly slots: number }[] {
    return [...this.#pool.prepare(map).plan.demands].flatMap(
      ([
        {
          options: { name, size },
        },
        slots,
      ]) => (size === Infinity ? [] : { name, size, slots }),
    )
  }

  /**
   * Borrows the values of a run's map. Any number of runs may borrow a service at the same time, as long as it is running.
   *
   * @throws PikoError as `ResourcePool.borrow`
   */
  borrow(map: ResourceMap, borrower: Borrower): Promise<Borrowed> {
    return this.#pool.borrow(map, borrower)
  }

  /** Called when the outcome of an attempt is stored. See `ResourcePool.settled`. */
  settled(runId: number, retryInMs: number | undefined): void {
    this.#pool.settled(runId, retryInMs)
  }

  #newPool(): ResourcePool {
    const { clock, construct } = this.#parts
    return new ResourcePool({
      ...{ clock, ...(construct && { construct }) },
      log: () => this.log,
      observer: () => this.#parts.observer,
      service: (wanted) => this.#running(wanted),
    })
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

  /** @throws PikoError `RESOURCE_FAILED` naming the resources that can't be used */
  check(): Promise<void> {
    return this.#pool.check()
  }

  protected override async onStop(why: StopReason): Promise<void> {
    if (why === 'crash') {
      const closed = this.#pool
        .close()
        .catch((error: unknown) => this.log.error({ err: error }, 'some resources could not be closed'))
      this.#retired.push(closed)
      this.#pool = this.#newPool()
      this.prepare(this.#maps)
      return
    }
    // A handler that continues after all deadlines must not keep the process alive, so its resources are closed while it uses them.
    // `AbortSignal.timeout` is not used: its timer does not keep the process alive, so the process could end too early.
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), LATE_RETURN_MS)
    try {
      await this.#pool.close(deadline.signal)
      await untilAborted(Promise.all(this.#retired), deadline.signal).catch(() => {})
    } finally {
      clearTimeout(timer)
    }
  }
}
