import type { z } from 'zod'

/** The types of a job against which calls such as `app.run` are checked. */
export interface JobTypes {
  /** The config that a caller may pass. */
  readonly config: unknown
  /** The input that a caller may pass. */
  readonly input: unknown
  /** Whether the job has windows; `boolean`: unknown. */
  readonly windowed: boolean
  /** The output of a successful run, as the database returns it. */
  readonly output: unknown
}

declare const TYPES: unique symbol

/** A definition or a spec with its types, which exist only for the compiler. */
export interface Typed<T extends JobTypes = JobTypes> {
  readonly id: string
  readonly [TYPES]?: T
}

/** The types of a spec and of its handler's result. */
export interface SpecTypes<C extends z.ZodType, W extends object | undefined, I extends z.ZodType, Out> {
  readonly config: z.input<C>
  readonly input: z.input<I>
  readonly windowed: Windowed<W>
  readonly output: Out
}

type Windowed<W> = [W] extends [object] ? true : [W] extends [undefined] ? false : boolean

/**
 * The jobs of an application by id. If you extend it, editors complete job ids in every call, and TypeScript checks them and their types:
 *
 * @example
 * declare module 'piko' {
 *   interface RegisteredJobs {
 *     sync_orders: typeof import('./jobs/orders.ts').syncOrders
 *   }
 * }
 */
// oxlint-disable-next-line typescript/no-empty-object-type
export interface RegisteredJobs {}

/** Any string, or one of the registered ids if {@link RegisteredJobs} has any. */
export type JobId = [keyof RegisteredJobs] extends [never] ? string : Extract<keyof RegisteredJobs, string>

/** A job in a request for runs: its definition, its spec, or its id. */
export type JobRef = Typed | JobId

/** A job that may exist only in the database: its definition, its spec, or any id. Editors still complete registered ids. */
export type AnyJob = JobRef | (string & Record<never, never>)

/** Refuses a literal that is not a registered id, but accepts any value of the type string. */
export type KnownJob<J> = J & (J extends string ? (string extends J ? J : JobId) : J)

/** The types of a job that is given as a {@link JobRef}. */
export type TypesOf<J> =
  J extends Typed<infer T> ? T : J extends keyof RegisteredJobs ? RegisteredTypes<RegisteredJobs[J]> : JobTypes

type RegisteredTypes<J> = J extends Typed<infer T> ? T : JobTypes

/** The output of a job's successful runs. */
export type OutputOf<J> = TypesOf<J> extends { readonly output: infer Out } ? Out : unknown

/** The type of a value after a conversion to JSON and back: dates become strings; functions and symbols are removed from objects. */
export type AsJson<T> = unknown extends T
  ? unknown
  : T extends { toJSON(): infer J }
    ? AsJson<J>
    : T extends string | number | boolean | null | undefined
      ? T
      : T extends bigint | symbol | ((...args: never[]) => unknown)
        ? never
        : T extends readonly unknown[]
          ? { [K in keyof T]: AsJson<T[K]> }
          : T extends object
            ? { [K in keyof T as K extends string | number ? (T[K] extends Lost ? never : K) : never]: AsJson<T[K]> }
            : // A handler that returns nothing.
              undefined

type Lost = symbol | ((...args: never[]) => unknown)

type Optional<Name extends string, T> = { readonly [K in Name]?: T }

/** The run's own config. Missing keys are taken from the saved config. */
export type ConfigOption<T extends JobTypes> = Optional<
  'config',
  unknown extends T['config'] ? unknown : Partial<T['config']>
>

/** The run's input. It is required if the job's schema requires one. */
export type InputOption<T extends JobTypes> = undefined extends T['input']
  ? Optional<'input', T['input']>
  : { readonly input: T['input'] }
