import { JOBS } from './nouns/jobs.ts'
import { RUNS } from './nouns/runs.ts'
import { STATUS } from './nouns/status.ts'
import type { Route } from './route.ts'

/** All operations of the HTTP API, in the order of its document. */
export const ROUTES = [...JOBS, ...RUNS, ...STATUS] as const

type Routes = (typeof ROUTES)[number]

export type RouteId = Routes['id']
/** The route with this id. */
export type RouteOf<Id extends RouteId> = Extract<Routes, { readonly id: Id }>
export type AnyRoute = Route

/** The routes without their types. */
export const ANY_ROUTES: readonly AnyRoute[] = ROUTES
