import { headline, messageOf } from '../errors-read.ts'
import type { ServiceObserver } from './observer.ts'
import type { Service } from './service.ts'
import type { Logger } from '../logger.ts'

/**
 * Returns the position of a service in its tree: `[^Worker]: ` for the root, `[^-App]: ` for its child, `[^--Cache]: ` for a grandchild.
 * There is one dash per level.
 */
export function treePrefix(service: Service): string {
  return `[^${'-'.repeat(service.depth)}${service.name}]: `
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error'

/** Prefixes each message with the service's position in the tree. */
export class TreeLogger implements Logger {
  readonly #service: Service
  readonly #target: () => Logger | undefined

  constructor(service: Service, target: () => Logger | undefined) {
    this.#service = service
    this.#target = target
  }

  trace(fields: object | string, message?: string): void {
    this.#write('trace', fields, message)
  }

  debug(fields: object | string, message?: string): void {
    this.#write('debug', fields, message)
  }

  info(fields: object | string, message?: string): void {
    this.#write('info', fields, message)
  }

  warn(fields: object | string, message?: string): void {
    this.#write('warn', fields, message)
  }

  error(fields: object | string, message?: string): void {
    this.#write('error', fields, message)
  }

  #write(level: Level, fields: object | string, message = ''): void {
    const target = this.#target()
    const prefix = treePrefix(this.#service)
    if (typeof fields === 'string') target?.[level](prefix + fields)
    else target?.[level](fields, prefix + message)
  }
}

/** Logs starts, stops and crashes in a service tree, with each service's own `log`. */
export const lifeLog: ServiceObserver = {
  stateChanged(service, _from, to, reason) {
    if (to === 'starting') service.log.info('Starting...')
    else if (to === 'running') service.log.debug('Started')
    else if (to === 'stopping') service.log.info('Stopping...')
    else if (to === 'stopped') service.log.info('Stopped')
    else if (to === 'crashed') service.log.error({ err: reason }, `Crashed: ${messageOf(reason)}`)
  },
  restarted(service, reason) {
    const why = reason ? ` after ${headline(reason)}` : ''
    service.log.warn(`Restarted${why} (restart ${service.restarts})`)
  },
  taskStuck(service, task, waitedMs) {
    service.log.warn(`Task ${task} did not end within ${Math.round(waitedMs)} ms of the stop; continuing without it`)
  },
  timerSkipped(service, timer, skipped) {
    service.log.warn(`Timer ${timer} skipped ${skipped} ${skipped === 1 ? 'tick' : 'ticks'}`)
  },
}
