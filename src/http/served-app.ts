import type { HttpRoutes } from '../app/http-routes.ts'
import type { Health } from '../app/health.ts'
import type { Piko } from '../app/piko.ts'
import type { Logger } from '../logger.ts'
import type { ApiApp } from './api/handler.ts'

/** The part of an app that the server uses. The server does not depend on `Piko` itself. */
export interface ServedApp extends ApiApp, Pick<Piko, 'access' | 'addService' | 'events' | 'settings'> {
  readonly log: Logger
  /** The user's own routes. */
  readonly http: Pick<HttpRoutes, 'additions'>
  health(): Promise<Health>
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}
