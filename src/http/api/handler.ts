import type { z } from 'zod'
import type { Actor } from '../../api/actor.ts'
import type { Fields, Route } from '../../api/route.ts'
import type { RouteId, RouteOf } from '../../api/routes.ts'
import type { Piko } from '../../app/piko.ts'

/** The part of an app that the API uses. */
export type ApiApp = Pick<
  Piko,
  | 'runs'
  | 'jobs'
  | 'schedules'
  | 'windows'
  | 'backfills'
  | 'batches'
  | 'items'
  | 'crawls'
  | 'configs'
  | 'limits'
  | 'locks'
  | 'nodes'
  | 'resources'
  | 'sinks'
  | 'notify'
  | 'shared'
  | 'cache'
  | 'tokens'
  | 'audit'
  | 'run'
  | 'waitFor'
  | 'live'
  | 'services'
  | 'leader'
  | 'isStopping'
  | 'doctor'
>

/** How many connections and requests the server has. */
export interface ServerFacts {
  connections(): number
  requests(): number
}

/** A checked request. */
export interface Asked<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly actor: Actor
  /** Aborts when the client has closed its connection. */
  readonly signal: AbortSignal
  readonly server: ServerFacts
}

/** Fields of a request. A field that is left out is absent, not undefined. */
export type Given<T> = { readonly [K in keyof T]: Exclude<T[K], undefined> }

type HandlerOf<R> =
  R extends Route<string, infer P extends Fields, infer Q extends Fields, infer B extends Fields, z.ZodType>
    ? (app: ApiApp, asked: Asked<Given<z.output<P>>, Given<z.output<Q>>, Given<z.output<B>>>) => unknown
    : never

/** The functions that answer some routes, by id. */
export type Handlers<Noun extends string> = {
  readonly [Id in Extract<RouteId, `${Noun}.${string}`>]: HandlerOf<RouteOf<Id>>
}

/** The functions that answer all routes. */
export type AllHandlers = { readonly [Id in RouteId]: HandlerOf<RouteOf<Id>> }
