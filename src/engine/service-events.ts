import { type ServiceObserver } from '../service/observer.ts'
import { type Events } from '../telemetry/events.ts'

/** Tells the app's events what happens in its tree of services. */
export function serviceEvents(events: Events): ServiceObserver {
  return {
    stateChanged(service, _from, to, reason) {
      if (to === 'crashed' && reason) events.emit('service.crashed', { service: service.path, error: reason })
    },
    restarted(service) {
      events.emit('service.restarted', { service: service.path, restarts: service.restarts })
    },
    taskStuck(service, task, waitedMs) {
      events.emit('service.stuck', { service: service.path, task, waitedMs })
    },
  }
}
