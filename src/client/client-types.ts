import type { z } from 'zod'
import type { Fields, Route } from '../api/route.ts'
import type { RouteId, RouteOf } from '../api/routes.ts'

/** Makes fields optional that the server does not need or has defaults for. */
type Optional<In, Out> = {
  [K in keyof Out as K extends keyof In ? (undefined extends In[K] ? K : never) : never]?: Out[K] | undefined
} & { [K in keyof Out as K extends keyof In ? (undefined extends In[K] ? never : K) : never]: Out[K] }

/** The fields of a path or query. Numbers and flags have their own types here, although they are sent as strings. */
type Sent<F> = F extends Fields ? Known<Optional<z.input<F>, z.output<F>>, z.output<F>> : unknown

/** Removes a schema without fields, because its type has an index signature that would allow any name. */
type Known<T, Out> = string extends keyof Out ? unknown : T

type Flat<T> = { [K in keyof T]: T[K] }

/** All fields of an operation: path, query and body. */
export type InputOf<Id extends RouteId> =
  RouteOf<Id> extends Route<string, infer P, infer Q, infer B, z.ZodType>
    ? Flat<Sent<P> & Sent<Q> & (Fields extends B ? unknown : Known<z.input<B>, z.input<B>>)>
    : never

/** The result of an operation. Instants are ISO 8601 strings. */
export type AnswerOf<Id extends RouteId> =
  RouteOf<Id> extends Route<string, Fields, Fields, Fields, infer A>
    ? z.ZodType extends A
      ? void
      : z.output<A>
    : never

/** Options of one call. */
export interface CallOptions {
  /** The reason for a change. It is recorded in the audit. */
  readonly reason?: string
  /** Aborting this signal ends the call. */
  readonly signal?: AbortSignal
  /** Further headers, such as `idempotency-key`. */
  readonly headers?: Readonly<Record<string, string>>
  /** How long to wait for the response, in milliseconds. Default 60,000. */
  readonly timeoutMs?: number
}

type IsOptional<T> = Record<never, never> extends T ? true : false

type Call<Id extends RouteId> =
  IsOptional<InputOf<Id>> extends true
    ? (input?: InputOf<Id>, options?: CallOptions) => Promise<AnswerOf<Id>>
    : (input: InputOf<Id>, options?: CallOptions) => Promise<AnswerOf<Id>>

type Noun = RouteId extends infer Id ? (Id extends `${infer N}.${string}` ? N : never) : never
type VerbOf<N extends string> = RouteId extends infer Id ? (Id extends `${N}.${infer V}` ? V : never) : never

/** The operations of the HTTP API, except streams and sessions, by noun and verb: `client.runs.show({ runId: 17 })`. */
export type Nouns = {
  readonly [N in Noun]: { readonly [V in VerbOf<N>]: Call<Extract<RouteId, `${N}.${V}`>> }
}
