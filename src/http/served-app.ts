import type { Service } from '../service/service.ts'
import type { Health } from '../app/health.ts'
import type { Logger } from '../logger.ts'

/** The part of an app that the server shows; a `Piko` fits. */
export interface ServedApp {
  readonly log: Logger
  readonly isStopping: boolean
  /** The root of its services. */
  readonly services: Service
  health(): Promise<Health>
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}
