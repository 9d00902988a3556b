import type { NoticeHooks, Notifier } from '../notice/notice.ts'
import type { JobSource } from '../job/job-source.ts'
import type { Resource, ResourceClass } from '../resource/resource.ts'
import type { SettingsOverrides } from '../settings/settings.ts'
import type { AppLogger } from '../telemetry/log.ts'
import type { MetricRegistry } from '../telemetry/shared-registry.ts'
import type { Clock } from '../clock.ts'
import type { ServiceSource } from './piko-service.ts'

export interface PikoOptions extends NoticeHooks {
  /**
   * Classes, instances, definitions, modules, or lists of these. Default: the files that `[piko] jobs` names. Without that setting:
   * `jobs.*` in the working directory, and all files in `jobs` and `src/jobs`, with the extension ts, mts, cts, js, mjs or cjs.
   */
  readonly jobs?: JobSource
  /** Settings that override environment and file, in the shape of `settings.toml`. */
  readonly settings?: SettingsOverrides
  /** The logger. Default: a pino logger that follows the settings. */
  readonly logger?: AppLogger
  /**
   * A prom-client registry that also gets Piko's metrics, from the start to the stop of the app. Default: only `app.metrics()` and
   * `/metrics` have them.
   */
  readonly registry?: MetricRegistry
  /** Creates instances of resources, for example through a dependency injection container. Default: `new` without arguments. */
  readonly construct?: (resourceClass: ResourceClass) => Resource<unknown> | Promise<Resource<unknown>>
  /**
   * Your own services. They start before any run and stop after the last run. Piko supervises them like its own. A job can use a service:
   * it names the service's class among its resources.
   */
  readonly services?: readonly ServiceSource[]
  /**
   * Notifiers of failures, late data and recoveries, in addition to those of the `[notify]` settings: `webhook(…)`, `slack(…)`, `email(…)`.
   */
  readonly notifiers?: readonly Notifier[]
  /** Whether this node may become leader and plan ticks. Default true. */
  readonly plan?: boolean
  /** Whether this node executes runs. With false, the app only requests and reads runs. Default true. */
  readonly execute?: boolean
  /** Executes only runs of these jobs. Default: all registered jobs. */
  readonly only?: readonly string[]
  /** Executes only runs that this process requests, as `piko run` does. Default false. */
  readonly onlyOwn?: boolean
  /** The clock, for tests. Default: the system's clock. */
  readonly clock?: Clock
  /** How long a handler may continue after its signal aborts, before Piko gives up its run, in milliseconds. Default 5,000. */
  readonly graceMs?: number
}
