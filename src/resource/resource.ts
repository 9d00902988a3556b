import type { Logger } from '../logger.ts'
import type { FleetLimit } from '../run/fleet-limit.ts'
import type { Service } from '../service/service.ts'
import type { Duration } from '../time/duration.ts'
import type { Window } from '../time/window.ts'

/**
 * How long a borrowed value lasts.
 *
 * - `'process'`: all runs of the process share one value. `acquire` is called once for each opened instance.
 * - `'run'`: each run borrows its own. The value of a failed attempt is kept for the retry, if the retry begins on the same node in time.
 * - `'attempt'`: each attempt of a run borrows its own.
 */
export type ResourceScope = 'process' | 'run' | 'attempt'

/** The resources of a resource that needs none. */
export type NoResources = Record<never, never>

/** The attempt that borrows a value. */
export interface Borrower {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  /** The config of the job with the run's overrides, parsed by the job's schema. */
  readonly config: unknown
  /** The window of the run; undefined for a job without windows. */
  readonly window: Window | undefined
  /**
   * Aborts on a timeout or cancellation, when the lease is lost, or at shutdown; its reason says which. `acquire` should then stop waiting.
   */
  readonly signal: AbortSignal
  readonly log: Logger
  /** A rate limit that all nodes share. When the run ends, calls that are waiting for the limit also end. See `ctx.limit`. */
  readonly limit: FleetLimit
}

/**
 * Describes the borrowing attempt to a resource.
 *
 * @typeParam R the resources that this one needs, by name
 */
export interface ResourceContext<R extends ResourceMap = NoResources> extends Borrower {
  /** The values of this resource's own `resources`, by name. */
  readonly resources: BorrowedOf<R>
}

/** The context for a resource of the scope `process`, which does not belong to a run. */
export interface ProcessContext<R extends ResourceMap = NoResources> {
  readonly resources: BorrowedOf<R>
  /** Aborts when this instance closes: when the process stops, or after another instance has replaced it. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/** The context without types. A class may declare a {@link ResourceContext} or a {@link ProcessContext} with its own resources. */
export interface AnyResourceContext extends Borrower {
  readonly resources: never
}

/** The argument of `open`. */
export interface OpenContext {
  /** Aborts when the process stops, or when opening takes longer than one minute. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * A pool that the process owns. A run borrows a value from it, and always returns the value, even after a failure.
 *
 * There is one instance per process and class, created and opened on first use. `acquire` is called once for each borrowed value. It is an
 * async generator that yields the value exactly once. If the attempt fails, the generator is resumed with `throw(error)`, so a transaction
 * can roll back. The generator finishes before the run's success is stored.
 *
 * After `maxLifetime`, or if `check` fails, a new instance replaces the old one. Runs that have borrowed from the old one keep their
 * values; it closes when the last value has been returned.
 */
export abstract class Resource<T> {
  /** How many values may be borrowed at the same time. Further runs wait in a queue, first in, first out. Default: no limit. */
  static readonly size: number = Infinity
  /** How long a borrowed value lasts. Default `'attempt'`. */
  static readonly scope: ResourceScope = 'attempt'
  /** How often `check` is called. Default `'30s'`. */
  static readonly checkEvery: Duration = '30s'
  /** How long an instance is used before a new one replaces it. Default: no limit. */
  static readonly maxLifetime: Duration | undefined = undefined
  /** How long a run waits for its value, including the queue and `acquire`. Default: until the run's own time limit. */
  static readonly acquireTimeout: Duration | undefined = undefined
  /** The resources and services that this one needs, by name. `acquire` receives them as `ctx.resources`. Default: none. */
  static readonly resources: ResourceMap = {}

  /** Opens this instance, once, before the first use. If it throws, the instance is dropped. */
  open?(ctx: OpenContext): unknown

  abstract acquire(ctx: AnyResourceContext): AsyncGenerator<T, void, void>

  /** Checks whether this instance can be used. It can't if this throws, returns `false` or takes longer than five seconds. */
  check?(): unknown

  /** Called once when every borrower has returned its value, unless `open` failed. Its result is awaited. */
  close?(): unknown
}

export interface ResourceClass<T = unknown> {
  /** The constructor gets no arguments, unless `new Piko({ construct })` passes some. */
  new (...args: never[]): Resource<T>
  readonly size: number
  readonly scope: ResourceScope
  readonly checkEvery: Duration
  readonly maxLifetime: Duration | undefined
  readonly acquireTimeout: Duration | undefined
  readonly resources: ResourceMap
  readonly name: string
}

/** The class of a service. If a run's resources name it, the run borrows the app's running instance. */
export type ServiceClass<S extends Service = Service> = abstract new (...args: never[]) => S

// `any` lets TypeScript infer a map of differently typed classes; `BorrowedOf` recovers the values.
// oxlint-disable-next-line typescript/no-explicit-any
export type ResourceMap = Readonly<Record<string, ResourceClass<any> | ServiceClass>>

/** The values that a run borrows: `{ db: Warehouse, cache: Cache }` → `{ db: PoolConnection, cache: Cache }`. */
export type BorrowedOf<R extends ResourceMap> = {
  readonly [K in keyof R]: R[K] extends new (...args: never[]) => Resource<infer T>
    ? T
    : R[K] extends ServiceClass
      ? InstanceType<R[K]>
      : never
}
