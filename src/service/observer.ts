import type { Service } from './service.ts'
import type { ServiceState } from './service-state.ts'

/**
 * Observes a service and all services below it. If a method throws, Node only emits a process warning. So an observer can't disturb the
 * services.
 */
export interface ServiceObserver {
  /** Called when the state of a service has changed. @param reason why the service crashed; only with `to: 'crashed'` */
  stateChanged?(service: Service, from: ServiceState, to: ServiceState, reason?: Error): void
  /**
   * Called when the service runs again; `service.restarts` has increased.
   *
   * @param reason the crash that caused the restart
   */
  restarted?(service: Service, reason?: Error): void
  /**
   * Called when a background task, or a step such as `start` or `onStop`, did not end in time during a stop. The stop continues without it.
   */
  taskStuck?(service: Service, task: string, waitedMs: number): void
  /** Called when a timer or crontab has skipped ticks, because an earlier run took too long or the machine was asleep. */
  timerSkipped?(service: Service, timer: string, skipped: number): void
}
