import { isPikoError } from '../errors.ts'
import type { ServiceObserver } from '../service/observer.ts'
import type { Events } from '../events.ts'

/**
 * Emits an event for each change in the app's tree of services.
 *
 * @param isUp false while the app starts; a crash is then the error of `start()`
 */
export function serviceEvents(events: Events, isUp: () => boolean): ServiceObserver {
  return {
    stateChanged(service, _from, to, reason) {
      // Other events report the parts that could not be stopped.
      if (isPikoError(reason, 'STOP_INCOMPLETE')) return
      // The child service that found the missing database has already reported it.
      if (isPikoError(reason, 'DATABASE_GONE') && service.children.length > 0) return
      if (to === 'crashed' && reason && isUp()) events.emit('service.crashed', { service: service.path, error: reason })
    },
    restarted(service) {
      events.emit('service.restarted', { service: service.path, restarts: service.restarts })
    },
    taskStuck(service, task, waitedMs) {
      events.emit('service.stuck', { service: service.path, task, waitedMs })
    },
  }
}
