import { isPikoError } from '../errors.ts'
import { Service, type ServiceOptions } from '../service/service.ts'
import { Supervisor } from '../service/supervisor.ts'

/** A user's service: an instance, or a class whose constructor needs no arguments. */
export type ServiceSource = Service | (new () => Service)

/**
 * The root of an app's services. If a child crashes, only that child restarts, because no part of Piko depends on a restart of its
 * siblings. Each pause before a restart is twice as long as the previous one, up to 5 s. If restarts do not help, the app crashes. If the
 * database no longer exists, the app crashes immediately, because a new store would be another database.
 */
export class PikoService extends Supervisor {
  constructor(services: readonly Service[], options: Pick<ServiceOptions, 'log' | 'stopTimeout'>) {
    super(services, {
      ...options,
      name: 'Piko',
      strategy: 'one-for-one',
      maxRestarts: 40,
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
