import type { Service } from '../service/service.ts'
import type { Logger } from '../logger.ts'
import type { FleetLimit } from '../run/fleet-limit.ts'

/** Describes the borrowing run to a resource. */
export interface ResourceContext {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  /** Aborts with the reason on timeout, cancel, lost lease and shutdown; stop waiting then. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** A rate that all nodes keep together; its waits end with the run. See `ctx.limit`. */
  readonly limit: FleetLimit
}

/**
 * A pooled object that the process owns. A run borrows it and returns it whatever happens.
 *
 * There is one instance per process and class, created on first use. `acquire` runs once per borrowing run, `close` once at stop. `acquire`
 * is an async generator that yields the borrowed value exactly once. If the run fails, the generator is resumed with `throw(error)`, so a
 * transaction rolls back. The generator finishes before the run's success is stored.
 */
export abstract class Resource<T> {
  /** At most this many are borrowed at the same time; other runs queue, first in first out. Default: no limit. */
  static readonly size: number = Infinity

  abstract acquire(ctx: ResourceContext): AsyncGenerator<T, void, void>

  /** Optional readiness check; throws if the resource can't serve. */
  check?(): Promise<void>

  /** Called once at stop, after every borrower has returned. */
  close?(): Promise<void>
}

export interface ResourceClass<T = unknown> {
  new (): Resource<T>
  readonly size: number
  readonly name: string
}

/** A service class; a run that names it borrows the app's running instance. */
export type ServiceClass<S extends Service = Service> = abstract new (...args: never[]) => S

// `any` lets TypeScript infer a map of differently typed classes; `BorrowedOf` recovers the values.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type ResourceMap = Readonly<Record<string, ResourceClass<any> | ServiceClass>>

/** The values that a run borrows: `{ db: Warehouse, cache: Cache }` → `{ db: PoolConnection, cache: Cache }`. */
export type BorrowedOf<R extends ResourceMap> = {
  readonly [K in keyof R]: R[K] extends new () => Resource<infer T>
    ? T
    : R[K] extends ServiceClass
      ? InstanceType<R[K]>
      : never
}
