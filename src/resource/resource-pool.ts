import { type Clock, systemClock } from '../clock.ts'
import { toError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { Closing } from '../service/closing.ts'
import { onAbort } from '../signals/on-abort.ts'
import type { LoanOutcome } from './acquired.ts'
import { Arbiter } from './arbiter.ts'
import { type BorrowPlan, planBorrow } from './borrow-plan.ts'
import { Borrowing } from './borrowing.ts'
import type { HeldNeeds } from './generation.ts'
import { KeptLoans } from './kept-loans.ts'
import { Lender } from './lender.ts'
import { stopped, throwAll } from './resource-errors.ts'
import { resourceInvalid } from './resource-options.ts'
import type { LenderState, ResourceObserver } from './resource-state.ts'
import { isNode, ResourceGraph, type ResourceNode } from './resource-graph.ts'
import type { Borrower, Resource, ResourceClass, ResourceMap, ResourceScope, ServiceClass } from './resource.ts'

/** How long all resources together may take to close, in milliseconds. */
const MAX_CLOSE_MS = 2_000

/** The values that one attempt has borrowed. */
export interface Borrowed {
  /** The values, by the names of the resource map. */
  readonly values: Readonly<Record<string, unknown>>
  /**
   * Gives back all values in reverse order. Continues if some fail. A second call returns the promise of the first.
   *
   * After a failure, values of the scope `run` are kept for the retry, see {@link ResourcePool.settled}. If returning one value fails after
   * a success, the remaining ones are returned with that error, because an outer transaction must not commit if an inner one has failed.
   *
   * @throws PikoError `RESOURCE_FAILED`: after a success, the run then fails; after a failure, it is an additional error
   */
  readonly release: (outcome: LoanOutcome) => Promise<void>
}

/** One resource of the process. */
export interface ResourceStats extends LenderState {
  readonly name: string
  readonly scope: ResourceScope
  /** The number of slots; `Infinity` without a limit. */
  readonly size: number
  /** The number of slots that runs hold. */
  readonly borrowed: number
  /** How many attempts are waiting for the resource. */
  readonly waiting: number
}

export interface ResourcePoolParts {
  readonly clock: Clock
  readonly random: () => number
  readonly log: () => Logger
  readonly observer: () => ResourceObserver
  /** Creates an instance of a resource. Called each time the resource is opened. */
  readonly construct: (resourceClass: ResourceClass) => Resource<unknown> | Promise<Resource<unknown>>
  /** Returns the running service of a class. */
  readonly service: (wanted: ServiceClass) => unknown
}

const NOTHING = (): void => {}
const NO_LOG: Logger = { trace: NOTHING, debug: NOTHING, info: NOTHING, warn: NOTHING, error: NOTHING }
const NO_OBSERVER: ResourceObserver = { lost: NOTHING, recovered: NOTHING, waited: NOTHING }

interface Prepared {
  readonly plan: BorrowPlan
  readonly lenders: readonly Lender[]
}

/** Creates an instance without arguments. */
export function constructed(resourceClass: ResourceClass): Resource<unknown> {
  if (resourceClass.length === 0) return new (resourceClass as new () => Resource<unknown>)()
  throw resourceInvalid(resourceClass.name, [
    'its constructor needs arguments; expected none, or a function that gives them: new Piko({ construct: (resourceClass) => … })',
  ])
}

/**
 * The resources of the process, with one lender per class. A resource is opened on first use.
 *
 * open → `close()` → closing (borrowers return their values, new ones are refused) → closed.
 */
export class ResourcePool {
  readonly #parts: ResourcePoolParts
  readonly #graph = new ResourceGraph()
  readonly #arbiter = new Arbiter()
  readonly #kept: KeptLoans
  /** The lenders, by the index of their class in the graph. */
  readonly #lenders: Lender[] = []
  /** The prepared maps. The maps of jobs exist as long as the process. */
  readonly #prepared = new WeakMap<ResourceMap, Prepared>()
  #closed: Promise<void> | undefined

  constructor(parts: Partial<ResourcePoolParts> = {}) {
    this.#parts = {
      clock: systemClock,
      random: Math.random,
      log: () => NO_LOG,
      observer: () => NO_OBSERVER,
      construct: constructed,
      service: () => undefined,
      ...parts,
    }
    this.#kept = new KeptLoans(this.#parts.clock)
  }

  /**
   * Borrows one value for every name in the map.
   *
   * @throws PikoError `RESOURCE_FAILED` naming the resource, with the cause; values borrowed earlier are given back first
   * @throws PikoError `RESOURCE_TIMEOUT` after the `acquireTimeout` of a resource
   * @throws PikoError `RESOURCE_INVALID` for a map that can never be borrowed
   * @throws PikoError `STOPPED` after {@link close} was called
   * @throws the reason of the signal if it aborts first; a value that comes later is given back to its resource
   */
  async borrow(map: ResourceMap, borrower: Borrower): Promise<Borrowed> {
    if (this.#closed) throw stopped()
    const { plan, lenders } = this.prepare(map)
    const { clock, observer, service } = this.#parts
    const sinceMs = clock.monotonic()
    const borrowing = new Borrowing({
      ...{ plan, lenders, borrower, service },
      arbiter: this.#arbiter,
      kept: this.#kept,
      onGranted: ({ name }) => observer().waited(name, clock.monotonic() - sinceMs),
    })
    const values = await borrowing.take()
    let released: Promise<void> | undefined
    return { values, release: (outcome) => (released ??= borrowing.release(outcome)) }
  }

  /**
   * Prepares a map without borrowing, so that lists contain its resources from now on.
   *
   * @throws PikoError `RESOURCE_INVALID`
   */
  prepare(map: ResourceMap): Prepared {
    const known = this.#prepared.get(map)
    if (known) return known
    const needs = this.#graph.needsOf(map)
    for (const node of this.#graph.nodes) this.#lenders[node.index] ??= this.#newLender(node)
    const plan = planBorrow(needs)
    const prepared = { plan, lenders: plan.values.map(({ node }) => this.#lenderOf(node)) }
    this.#prepared.set(map, prepared)
    return prepared
  }

  /**
   * Called when the outcome of an attempt is stored. If no retry follows soon, gives back the values that were kept for it.
   *
   * @param retryInMs undefined: the run has ended, or may continue on another node
   */
  settled(runId: number, retryInMs: number | undefined): void {
    this.#kept.settled(runId, retryInMs)
  }

  /**
   * Waits until all borrowers have returned their values, at most until the signal aborts. Then closes every resource, the newest first.
   * All of them together have two seconds: if one fails or hangs, the others still close. Waiting runs get `STOPPED`.
   *
   * @throws PikoError `RESOURCE_FAILED` if resources fail to close
   */
  close(signal?: AbortSignal): Promise<void> {
    return (this.#closed ??= this.#close(signal))
  }

  /**
   * Checks every resource in use.
   *
   * @throws PikoError `RESOURCE_FAILED` naming those that can't be used
   */
  async check(): Promise<void> {
    const failures: Error[] = []
    await Promise.all(
      this.#lenders.map((lender) => lender.assertReady().catch((error: unknown) => failures.push(toError(error)))),
    )
    throwAll(failures)
  }

  /** Returns one entry for every resource. Each comes after the resources that it needs. */
  stats(): ResourceStats[] {
    return this.#lenders.map(({ node, lane, state }) => ({
      name: node.options.name,
      scope: node.options.scope,
      size: lane.size,
      borrowed: lane.active,
      waiting: lane.waiting,
      ...state,
    }))
  }

  #lenderOf(node: ResourceNode): Lender {
    const lender = this.#lenders[node.index]
    if (!lender) throw new RangeError(`resource ${node.options.name} has no lender`)
    return lender
  }

  #newLender(node: ResourceNode): Lender {
    const { clock, random, log, observer, construct } = this.#parts
    return new Lender({
      ...{ node, clock, random, log, observer, construct },
      lane: this.#arbiter.lane(node.options.size),
      holdNeeds: () => this.#holdNeeds(node),
      onChange: (lender, change) => this.#changed(lender, change),
    })
  }

  /** Borrows the resources that a shared value needs. These are shared values too. */
  async #holdNeeds({ needs }: ResourceNode): Promise<HeldNeeds> {
    const { service } = this.#parts
    const values: Record<string, unknown> = {}
    const held: (() => void)[] = []
    const release = (): void => {
      for (const free of held.splice(0).reverse()) free()
    }
    try {
      for (const [key, need] of needs) {
        if (!isNode(need)) {
          values[key] = service(need)
          continue
        }
        const generation = await this.#lenderOf(need).hold()
        held.push(() => generation.release())
        values[key] = generation.value
      }
    } catch (error) {
      release()
      throw error
    }
    return { values: Object.freeze(values), release }
  }

  /** Replaces or suspends the shared values that need the changed resource. */
  #changed(changed: Lender, change: 'lost' | 'replaced'): void {
    const dependents = this.#lenders.filter(
      ({ isShared, node }) => isShared && node.needs.some(([, need]) => need === changed.node),
    )
    for (const lender of dependents) {
      if (change === 'lost') lender.lose(new Error(`it needs ${changed.name}, which is lost`))
      else lender.renewSoon()
    }
    if (change === 'replaced') this.#arbiter.serve()
  }

  async #close(signal: AbortSignal | undefined): Promise<void> {
    for (const lender of this.#lenders) lender.beginClose()
    this.#arbiter.refuseAll(stopped())
    const idle = [this.#kept.close(), ...this.#lenders.map(({ lane }) => lane.idle())]
    await untilAborted(idle, signal)
    const failures: Error[] = []
    const closing = new Closing(MAX_CLOSE_MS)
    for (const lender of this.#lenders.toReversed()) failures.push(...(await lender.close(closing)))
    closing.end()
    throwAll(failures)
  }
}

async function untilAborted(waits: readonly Promise<void>[], signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted) return
  await new Promise<void>((resolve) => {
    const settled = signal ? onAbort(signal, resolve) : () => {}
    void Promise.all(waits).then(() => {
      settled()
      resolve()
    })
  })
}
