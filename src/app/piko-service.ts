import { isPikoError } from '../errors.ts'
import { Service, type ServiceOptions } from '../service/service.ts'
import { Supervisor } from '../service/supervisor.ts'

/** A user's service: an instance, or a class whose constructor needs no arguments. */
export type ServiceSource = Service | (new () => Service)

/**
 * The root of an app's services. It restarts only the child that crashed, after a pause that doubles, because no part of Piko needs its
 * siblings restarted. When restarts do not help, the app crashes. It crashes immediately when the database is gone: a new store would be a
 * different database.
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
