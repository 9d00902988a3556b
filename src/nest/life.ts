import type { Piko } from '../app/piko.ts'
import { discover } from './discover.ts'
import type { NestModules } from './nest-core.ts'

/** Connects an app to Nest's life cycle. Nest calls these methods by their names. */
export class PikoLife {
  readonly #app: Piko
  readonly #modules: NestModules
  readonly #starts: boolean

  /** @param module the class of the module that provides the app */
  constructor(app: Piko, modules: NestModules, module: unknown, starts: boolean) {
    this.#app = app
    this.#modules = modules
    this.#starts = starts
    // At the start, Nest calls the hooks of modules near the root last; at the end, it calls them first. The distance of -1 puts this
    // module in front of the root. So everything that a run may use is ready before the first run begins, and is still available when the
    // last run ends.
    for (const one of modules.values()) if (one.metatype === module) one.distance = -1
  }

  async onApplicationBootstrap(): Promise<void> {
    const { jobs, services } = discover(this.#modules)
    this.#app.addJobs(jobs)
    for (const service of services) this.#app.addService(service)
    if (this.#starts) await this.#app.start()
  }

  /** Stops the app. Nest awaits this method before it closes the server and calls the hooks `onApplicationShutdown`. */
  async onModuleDestroy(): Promise<void> {
    await this.#app.stop()
  }
}
