import type { Health } from '../app/health.ts'
import type { Logger } from '../logger.ts'
import type { ApiApp } from './api/handler.ts'

/** The part of an app that the server uses, so that it does not depend on `Piko` itself. */
export interface ServedApp extends ApiApp {
  readonly log: Logger
  health(): Promise<Health>
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}
