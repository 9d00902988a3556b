import type { Piko } from './piko.ts'
import type { PikoOptions } from './piko-options.ts'

/**
 * The options of the app that `piko start`, `piko dev` and `piko run` create. Settings are not among them: they belong in `settings.toml` or
 * the environment, where every command sees them.
 */
export interface PikoConfig extends Omit<PikoOptions, 'settings'> {
  /** Called before the app starts, for code that needs the app: `app.events.on(…)`, `app.http.route(…)`. */
  readonly setup?: (app: Piko) => void | Promise<void>
}

/** Types the default export of `piko.config.ts`: options of the app, or a function that returns them. */
export function defineConfig<C extends PikoConfig | (() => PikoConfig | Promise<PikoConfig>)>(config: C): C {
  return config
}
