import { type Service } from './service.ts'
import { type ServiceState } from './service-state.ts'

/**
 * Is told what happens in a service and in everything under it. What a method throws is emitted as a process warning: an
 * observer can't change what it observes.
 */
export interface ServiceObserver {
  /** @param reason why it crashed; given with `to: 'crashed'` only */
  stateChanged?(service: Service, from: ServiceState, to: ServiceState, reason?: Error): void
  /** The service runs again; `service.restarts` is counted. @param reason the crash that the restart answers */
  restarted?(service: Service, reason?: Error): void
  /** A background task was still running when the grace at stop was over; the stop went on without it. */
  taskStuck?(service: Service, task: string, waitedMs: number): void
  /** Ticks of a timer or crontab that did not fire, because the run before took too long or the machine was asleep. */
  timerSkipped?(service: Service, timer: string, skipped: number): void
}
