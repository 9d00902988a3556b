import { type Service } from '../service/service.ts'
import { type Logger } from '../logger.ts'

/** What a resource knows about the run that borrows it. */
export interface ResourceContext {
  readonly runId: number
  readonly jobId: string
  readonly attempt: number
  readonly fence: number
  /** Aborts on timeout, cancel, lost lease and shutdown, with the reason; stop waiting when it does. */
  readonly signal: AbortSignal
  readonly log: Logger
}

/**
 * Something pooled and owned by the process, borrowed by a run and returned whatever happens.
 *
 * One instance per process and class: it is made on first use, `acquire` runs once per borrowing run, `close` once at
 * stop. `acquire` is an async generator that yields the borrowed value exactly once. When the run fails the generator is
 * resumed with `throw(error)`, so that a transaction rolls back; it has finished before the run's success is stored.
 */
export abstract class Resource<T> {
  /** At most this many are borrowed at once; others queue, first in first out. Default: no limit. */
  static readonly size: number = Infinity

  abstract acquire(ctx: ResourceContext): AsyncGenerator<T, void, void>

  /** Optional readiness check; throws when the resource can't serve. */
  check?(): Promise<void>

  /** Called once at stop, after every borrower has returned. */
  close?(): Promise<void>
}

export interface ResourceClass<T = unknown> {
  new (): Resource<T>
  readonly size: number
  readonly name: string
}

/** A class of services; a run that names it borrows the app's running instance. */
export type ServiceClass<S extends Service = Service> = abstract new (...args: never[]) => S

// `any` is what makes a map of differently typed classes inferable; the values are recovered by `BorrowedOf`.
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
