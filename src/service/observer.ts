import type { Service } from './service.ts'
import type { ServiceState } from './service-state.ts'

/**
 * Observes a service and all services below it. If a method throws, Node only emits a process warning, so an observer can't disturb the
 * services.
 */
export interface ServiceObserver {
  /** @param reason why it crashed; only with `to: 'crashed'` */
  stateChanged?(service: Service, from: ServiceState, to: ServiceState, reason?: Error): void
  /** The service runs again, and `service.restarts` has grown. @param reason the crash that caused the restart */
  restarted?(service: Service, reason?: Error): void
  /** A background task was still running after the grace time of a stop; the stop continued without it. */
  taskStuck?(service: Service, task: string, waitedMs: number): void
  /** A timer or crontab skipped ticks, because an earlier run took too long or the machine was asleep. */
  timerSkipped?(service: Service, timer: string, skipped: number): void
}
