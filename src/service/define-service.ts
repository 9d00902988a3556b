import { propertyOf } from '../errors-read.ts'
import { describe } from '../errors.ts'
import {
  aFunction,
  anything,
  aTable,
  aText,
  expecting,
  listOf,
  type OptionChecks,
  readOptions,
  unknownOptions,
} from '../options.ts'
import type { Duration } from '../time/duration.ts'
import { serviceInvalid } from './invalid.ts'
import { Service, type ServiceOptions } from './service.ts'
import type { CrontabOptions, TimerOptions } from './timer.ts'
import type { Logger } from '../logger.ts'

/** The argument of the functions of {@link defineService}. */
export interface ServiceContext {
  readonly signal: AbortSignal
  readonly log: Logger
  readonly service: Service
  /**
   * Waits. Returns early if the service stops or crashes.
   *
   * @returns true if the whole time has passed
   */
  readonly sleep: (time: Duration | number) => Promise<boolean>
  /** Adds a callback for the stop. Callbacks are called in reverse order. */
  readonly defer: (callback: () => unknown) => void
}

type ServiceFunction = (ctx: ServiceContext) => unknown

export interface ServiceDefinition extends Omit<ServiceOptions, 'name'> {
  readonly name: string
  /** Called at a start. The service awaits it before its children start. */
  readonly start?: ServiceFunction
  /** Runs in the background after each start. If it throws, the service crashes. */
  readonly run?: ServiceFunction
  /** Called at a stop. The service awaits it before its children stop. */
  readonly stop?: ServiceFunction
  readonly children?: readonly Service[]
  /** Timers by name: `{ expire: { every: '1m', run: (ctx) => … } }`; see `@timer`. */
  readonly timers?: Readonly<Record<string, TimerOptions & { readonly every: Duration; readonly run: ServiceFunction }>>
  /** Crontabs by name: `{ report: { cron: '0 6 * * *', timezone: 'Europe/Berlin', run: (ctx) => … } }`; see `@crontab`. */
  readonly crontabs?: Readonly<
    Record<string, CrontabOptions & { readonly cron: string; readonly run: ServiceFunction }>
  >
}

/**
 * Creates a {@link Service} without a class.
 *
 * @throws PikoError `SERVICE_INVALID` naming every unknown or wrong option
 * @example
 * const cache = defineService({
 *   name: 'cache',
 *   start: async ({ defer }) => defer(await openCache()),
 *   timers: { expire: { every: '1s', run: () => dropExpired() } },
 * })
 */
export function defineService(definition: ServiceDefinition): Service {
  assertDefinition(definition)
  return new DefinedService(definition)
}

const CHECKS: OptionChecks<ServiceDefinition> = {
  name: aText,
  log: aTable,
  clock: aTable,
  observer: aTable,
  taskGrace: anything,
  stopTimeout: anything,
  start: aFunction,
  run: aFunction,
  stop: aFunction,
  children: listOf(
    'services',
    expecting('a Service', (value) => value instanceof Service),
  ),
  timers: aTable,
  crontabs: aTable,
}

/** The options of timers and crontabs in a definition. */
const REPEATED: Readonly<Record<'timers' | 'crontabs', readonly [when: string, ...names: string[]]>> = {
  timers: ['every', 'run', 'immediate', 'after'],
  crontabs: ['cron', 'run', 'timezone'],
}

function assertDefinition(definition: ServiceDefinition): void {
  const { options, problems } = readOptions<ServiceDefinition>(definition, CHECKS, "{ name: 'cache' }", ['name'])
  const all = [
    ...problems,
    ...repeatedProblems('timers', options.timers ?? {}),
    ...repeatedProblems('crontabs', options.crontabs ?? {}),
  ]
  if (all.length > 0) throw serviceInvalid(String(propertyOf(definition, 'name')), all)
}

function repeatedProblems(kind: keyof typeof REPEATED, given: object): string[] {
  return Object.entries(given).flatMap(([name, one]: [string, unknown]) => {
    const place = `${kind}.${name}`
    const [when, ...names] = REPEATED[kind]
    if (aTable(one) !== undefined) return [`${place} is ${describe(one)}; expected { ${when}: …, run: (ctx) => … }`]
    const run = propertyOf(one, 'run')
    const notRun = typeof run === 'function' ? [] : [`${place}.run is ${describe(run)}; expected a function`]
    return [...unknownOptions(one as object, [when, ...names], `${place}.`), ...notRun]
  })
}

class DefinedService extends Service {
  readonly #definition: ServiceDefinition

  constructor(definition: ServiceDefinition) {
    super(definition)
    this.#definition = definition
    for (const child of definition.children ?? []) this.addChild(child)
  }

  protected override async onStart(): Promise<void> {
    const { start, run, timers = {}, crontabs = {} } = this.#definition
    const context = this.#context()
    await start?.(context)
    if (this.shouldStop) return
    if (run) this.addTask(() => run(context), 'run')
    for (const [name, { every, run: tick, ...options }] of Object.entries(timers)) {
      this.addTimer(every, () => tick(context), { ...options, name })
    }
    for (const [name, { cron, run: tick, ...options }] of Object.entries(crontabs)) {
      this.addCrontab(cron, () => tick(context), { ...options, name })
    }
  }

  protected override async onStop(): Promise<void> {
    await this.#definition.stop?.(this.#context())
  }

  #context(): ServiceContext {
    return {
      signal: this.signal,
      log: this.log,
      service: this,
      sleep: (time) => this.sleep(time),
      defer: (callback) => this.defer(callback),
    }
  }
}
