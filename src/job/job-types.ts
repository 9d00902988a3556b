import type { z } from 'zod'

/** What TypeScript knows of a job where runs of it are asked for. */
export interface JobTypes {
  /** What may be passed as config. */
  readonly config: unknown
  /** What may be passed as input. */
  readonly input: unknown
  /** Whether the job has windows; `boolean`: unknown. */
  readonly windowed: boolean
  /** The output of a succeeded run, as the database returns it. */
  readonly output: unknown
}

declare const TYPES: unique symbol

/** A definition or a spec that carries its types. They exist for the compiler only. */
export interface Typed<T extends JobTypes = JobTypes> {
  readonly id: string
  readonly [TYPES]?: T
}

/** The types of a spec and of what its handler returns. */
export interface SpecTypes<C extends z.ZodType, W extends object | undefined, I extends z.ZodType, Out> {
  readonly config: z.input<C>
  readonly input: z.input<I>
  readonly windowed: Windowed<W>
  readonly output: Out
}

type Windowed<W> = [W] extends [object] ? true : [W] extends [undefined] ? false : boolean

/**
 * The jobs of an application by id. Extend it, and every call that takes a job's id completes it, checks it and knows its types:
 *
 * @example
 * declare module 'piko' {
 *   interface RegisteredJobs {
 *     sync_orders: typeof import('./jobs/orders.ts').syncOrders
 *   }
 * }
 */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type
export interface RegisteredJobs {}

/** Any text, or one of the registered ids once {@link RegisteredJobs} has some. */
export type JobId = [keyof RegisteredJobs] extends [never] ? string : Extract<keyof RegisteredJobs, string>

/** A job where runs of it are asked for: its definition, its spec, or its id. */
export type JobRef = Typed | JobId

/** A job where it may be one that only the database knows: its definition, its spec, or any id. Registered ids complete in the editor. */
export type AnyJob = JobRef | (string & Record<never, never>)

/** Refuses a literal that is no registered id. A text that only the running program knows is accepted. */
export type KnownJob<J> = J & (J extends string ? (string extends J ? J : JobId) : J)

/** The types of a job that is given as {@link JobRef}. */
export type TypesOf<J> =
  J extends Typed<infer T> ? T : J extends keyof RegisteredJobs ? RegisteredTypes<RegisteredJobs[J]> : JobTypes

type RegisteredTypes<J> = J extends Typed<infer T> ? T : JobTypes

/** The output of a job's succeeded runs. */
export type OutputOf<J> = TypesOf<J> extends { readonly output: infer Out } ? Out : unknown

/** What JSON makes of a value: dates become texts, `undefined` and functions in objects are lost. */
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

/** The run's own config. A saved config fills the keys that it leaves out. */
export type ConfigOption<T extends JobTypes> = Optional<
  'config',
  unknown extends T['config'] ? unknown : Partial<T['config']>
>

/** The run's input, required if the job's schema requires one. */
export type InputOption<T extends JobTypes> = undefined extends T['input']
  ? Optional<'input', T['input']>
  : { readonly input: T['input'] }
