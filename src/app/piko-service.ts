import { isPikoError } from '../errors.ts'
import { Service, type ServiceOptions } from '../service/service.ts'
import { Supervisor } from '../service/supervisor.ts'

/** A service of the user's: an instance, or a class that is constructed without arguments. */
export type ServiceSource = Service | (new () => Service)

/**
 * The root of an app's services. A child that crashes is restarted by itself, after a pause that doubles: none of Piko's
 * parts needs another one to be restarted with it. When restarts do not help, the app crashes; at once when
 * the database is gone: a store that is opened again would be another one.
 */
export class PikoService extends Supervisor {
  constructor(services: readonly Service[], options: Pick<ServiceOptions, 'log' | 'stopTimeout'>) {
    super(services, {
      ...options,
      name: 'Piko',
      strategy: 'one-for-one',
      maxRestarts: 30,
      over: '1m',
      backoff: { base: '50ms', max: '5s' },
    })
  }

  protected override onChildCrash(child: Service, reason: Error): void {
    if (isPikoError(reason, 'DATABASE_GONE')) this.crash(reason)
    else super.onChildCrash(child, reason)
  }
}

export function serviceOf(source: ServiceSource): Service {
  return source instanceof Service ? source : new source()
}
