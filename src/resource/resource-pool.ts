import { describe, PikoError, toError } from '../errors.ts'
import { Closing } from '../service/closing.ts'
import { assertSize } from './define-resource.ts'
import { type Lender, Loan, type LoanOutcome } from './loan.ts'
import type { ResourceClass, ResourceContext, ResourceMap } from './resource.ts'
import { Semaphore } from './semaphore.ts'

/** Time for all resources together to close. */
const MAX_CLOSE_MS = 2_000

/** The values that one run has borrowed. */
export interface Borrowed {
  /** Keyed by the names of the resource map. */
  readonly values: Readonly<Record<string, unknown>>
  /**
   * Returns everything in reverse order, whatever happens; a second call gets the first one's promise.
   *
   * If the return of one value fails after a success, the remaining ones are returned with that error: an outer transaction must not commit
   * what an inner one lost.
   *
   * @throws PikoError `RESOURCE_FAILED`: after a success, this fails the run; after a failure, it is an additional error
   */
  readonly release: (outcome: LoanOutcome) => Promise<void>
}

/** One resource for metrics: `size` is `Infinity` without a limit; `active` and `waiting` use the units of `size`. */
export interface ResourceStats {
  readonly name: string
  readonly size: number
  readonly active: number
  readonly waiting: number
}

interface Slot extends Lender {
  /** The position in the order of creation. */
  readonly index: number
}

/** The names in one run's map that ask for the same resource. */
interface Request {
  readonly slot: Slot
  readonly keys: string[]
}

/**
 * Owns the process's resources: one instance per class, created on first use.
 *
 * open → `close()` → closing (borrowers return, new ones are refused) → closed.
 */
export class ResourcePool {
  readonly #slots = new Map<ResourceClass, Slot>()
  #closed: Promise<void> | undefined

  /**
   * Borrows one value for every name in the map.
   *
   * @throws PikoError `RESOURCE_FAILED` naming the resource, with the cause; values borrowed earlier are returned first
   * @throws PikoError `STOPPED` once {@link close} was called
   * @throws the reason of `ctx.signal` if it aborts first; a later value is returned to its resource
   */
  async borrow(map: ResourceMap, ctx: ResourceContext): Promise<Borrowed> {
    if (this.#closed) throw stopped()
    const requests = this.#requests(map)
    // Takes all slots before the first value, so that no connection or transaction is open while the run waits for the next slot.
    await this.#takeSlots(requests, ctx)
    const wanted = requests.flatMap(({ slot, keys }) => keys.map((key) => ({ key, loan: new Loan(slot, ctx) })))
    const loans = wanted.map(({ loan }) => loan)
    const values: [string, unknown][] = []
    try {
      for (const { key, loan } of wanted) values.push([key, await loan.take()])
    } catch (thrown) {
      const error = toError(ctx.signal.aborted ? ctx.signal.reason : thrown)
      for (const failure of await giveBack(loans, { ok: false, error }))
        ctx.log.error({ err: failure }, failure.message)
      throw error
    }
    let released: Promise<void> | undefined
    return {
      values: Object.freeze(Object.fromEntries(values)),
      release: (outcome) => (released ??= release(loans, outcome)),
    }
  }

  /**
   * Waits until every borrower has returned, at most until the signal aborts. Then closes every resource, the newest first. One that fails,
   * or hangs for two seconds, does not prevent the others from closing. Runs that queue for a slot get `STOPPED`.
   *
   * @throws PikoError `RESOURCE_FAILED` if resources fail to close
   */
  close(signal?: AbortSignal): Promise<void> {
    return (this.#closed ??= this.#close(signal))
  }

  /**
   * Runs every instance's readiness check.
   *
   * @throws PikoError `RESOURCE_FAILED` naming those that can't serve
   */
  async check(): Promise<void> {
    const failures: Error[] = []
    const checks = [...this.#slots.values()].map(async ({ name, resource }) => {
      try {
        await resource.check?.()
      } catch (error) {
        failures.push(failed(name, 'is not ready', error))
      }
    })
    await Promise.all(checks)
    throwAll(failures)
  }

  /** One entry for every resource created so far. */
  stats(): ResourceStats[] {
    return [...this.#slots.values()].map(({ name, semaphore: { size, active, waiting } }) => ({
      name,
      size,
      active,
      waiting,
    }))
  }

  /** Every run takes slots in the order in which the process created the resources, so no two runs can wait for each other. */
  #requests(map: ResourceMap): Request[] {
    const requests = new Map<Slot, Request>()
    for (const [key, resourceClass] of Object.entries(map)) {
      const slot = this.#slotOf(key, resourceClass as ResourceClass)
      const request = requests.get(slot) ?? { slot, keys: [] }
      requests.set(slot, request)
      request.keys.push(key)
      if (request.keys.length > slot.semaphore.size) {
        const problem = `one run asks for it as ${request.keys.join(', ')}, which is more than its size ${slot.semaphore.size}`
        throw failed(slot.name, 'can never be acquired', problem)
      }
    }
    return [...requests.values()].sort((a, b) => a.slot.index - b.slot.index)
  }

  #slotOf(key: string, resourceClass: ResourceClass): Slot {
    const made = this.#slots.get(resourceClass)
    if (made) return made
    if (typeof resourceClass !== 'function') {
      throw failed(
        key,
        'is not usable',
        `it is ${describe(resourceClass)}; expected a subclass of Resource, or one that defineResource made`,
      )
    }
    const name = resourceClass.name || key
    assertSize(name, resourceClass.size)
    try {
      const slot = {
        name,
        resource: new resourceClass(),
        semaphore: new Semaphore(resourceClass.size),
        index: this.#slots.size,
      }
      this.#slots.set(resourceClass, slot)
      return slot
    } catch (error) {
      throw failed(name, 'could not be made', error)
    }
  }

  async #takeSlots(requests: readonly Request[], ctx: ResourceContext): Promise<void> {
    const taken: Request[] = []
    try {
      for (const request of requests) {
        await request.slot.semaphore.acquire(ctx.signal, request.keys.length)
        taken.push(request)
        if (this.#closed) throw stopped()
      }
    } catch (error) {
      for (const { slot, keys } of taken.reverse()) slot.semaphore.release(keys.length)
      throw error
    }
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    const slots = [...this.#slots.values()]
    for (const { semaphore } of slots) semaphore.refuseWaiting(stopped())
    await untilAborted(
      slots.map(({ semaphore }) => semaphore.idle()),
      signal,
    )
    const failures: Error[] = []
    const closing = new Closing(MAX_CLOSE_MS)
    for (const { name, resource } of slots.reverse()) {
      try {
        await closing.within(() => resource.close?.())
      } catch (error) {
        failures.push(failed(name, 'failed to close', error))
      }
    }
    closing.end()
    throwAll(failures)
  }
}

async function release(loans: readonly Loan[], outcome: LoanOutcome): Promise<void> {
  throwAll(await giveBack(loans, outcome))
}

async function giveBack(loans: readonly Loan[], outcome: LoanOutcome): Promise<Error[]> {
  const failures: Error[] = []
  for (const loan of loans.toReversed()) {
    const [first] = failures
    try {
      await loan.giveBack(outcome.ok && first ? { ok: false, error: first } : outcome)
    } catch (error) {
      failures.push(toError(error))
    }
  }
  return failures
}

async function untilAborted(waits: readonly Promise<void>[], signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return
  await new Promise<void>((resolve) => {
    const over = (): void => resolve()
    signal?.addEventListener('abort', over, { once: true })
    void Promise.all(waits).then(() => {
      signal?.removeEventListener('abort', over)
      resolve()
    })
  })
}

function failed(name: string, what: string, thrown: unknown): PikoError {
  const cause = typeof thrown === 'string' ? undefined : toError(thrown)
  const why = cause?.message ?? String(thrown)
  return new PikoError('RESOURCE_FAILED', `resource ${name} ${what}: ${why}`, {
    ...(cause && { cause }),
    details: { resource: name },
  })
}

function throwAll(failures: readonly Error[]): void {
  const [first] = failures
  if (!first) return
  if (failures.length === 1) throw first
  const messages = failures.map(({ message }) => message).join('; ')
  throw new PikoError('RESOURCE_FAILED', messages, { cause: new AggregateError(failures, messages) })
}

function stopped(): PikoError {
  return new PikoError('STOPPED', 'the resource pool is closed: the process is stopping')
}
