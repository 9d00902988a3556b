import type { Service } from '../service/service.ts'
import type { Health } from '../app/health.ts'
import type { Logger } from '../logger.ts'

/** The part of an app that the server uses, so that it does not depend on `Piko` itself. */
export interface ServedApp {
  readonly log: Logger
  readonly isStopping: boolean
  /** The root of the app's tree of services. */
  readonly services: Service
  health(): Promise<Health>
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}
