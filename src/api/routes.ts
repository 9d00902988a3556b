import { AUDIT } from './nouns/audit.ts'
import { CACHES, LIMITS, LOCKS, RESOURCES, SERVICES } from './nouns/fleet.ts'
import { BACKFILLS } from './nouns/backfills.ts'
import { BATCHES } from './nouns/batches.ts'
import { CONFIGS } from './nouns/configs.ts'
import { CRAWLS } from './nouns/crawls.ts'
import { DOCTOR } from './nouns/doctor.ts'
import { ITEMS } from './nouns/items.ts'
import { JOBS } from './nouns/jobs.ts'
import { LIVE, LIVE_FOLLOW } from './nouns/live.ts'
import { NODES } from './nouns/nodes.ts'
import { NOTIFY } from './nouns/notify.ts'
import { RUN_FOLLOW } from './nouns/run-follow.ts'
import { RUNS } from './nouns/runs.ts'
import { SCHEDULES } from './nouns/schedules.ts'
import { SESSION } from './nouns/session.ts'
import { SHARED } from './nouns/shared.ts'
import { SINKS } from './nouns/sinks.ts'
import { STATUS } from './nouns/status.ts'
import { TOKENS } from './nouns/tokens.ts'
import { WINDOWS } from './nouns/windows.ts'
import type { Route } from './route.ts'

/** The operations of the HTTP API, without the streams and those of sessions. The OpenAPI document lists them in this order. */
export const ROUTES = [
  ...JOBS,
  ...SCHEDULES,
  ...CONFIGS,
  ...RUNS,
  ...WINDOWS,
  ...BACKFILLS,
  ...BATCHES,
  ...ITEMS,
  ...CRAWLS,
  ...NODES,
  ...SERVICES,
  ...RESOURCES,
  ...LIMITS,
  ...LOCKS,
  ...SINKS,
  ...NOTIFY,
  ...SHARED,
  ...CACHES,
  ...LIVE,
  ...TOKENS,
  ...AUDIT,
  ...STATUS,
  ...DOCTOR,
] as const

type Routes = (typeof ROUTES)[number]

export type RouteId = Routes['id']
/** The route with this id. */
export type RouteOf<Id extends RouteId> = Extract<Routes, { readonly id: Id }>
export type AnyRoute = Route

/** The same routes, without their specific types. */
export const ANY_ROUTES: readonly AnyRoute[] = [...ROUTES]

/** The routes whose answers are streams of server-sent events. */
export const STREAMS: readonly AnyRoute[] = [LIVE_FOLLOW, RUN_FOLLOW]

/** All routes that the OpenAPI document describes. */
export const DOCUMENTED: readonly AnyRoute[] = [...ANY_ROUTES, ...STREAMS, ...SESSION]
