import { type JobSource } from '../job/job-source.ts'
import { type SettingsOverrides } from '../settings/keys.ts'
import { type AppLogger } from '../telemetry/log.ts'
import { type Clock } from '../clock.ts'
import { type ServiceSource } from './piko-service.ts'

export interface PikoOptions {
  /**
   * Classes, instances, definitions, modules, or lists of these. Default: the files that `[piko] jobs` names, else `jobs.ts`
   * and what is in `jobs` and `src/jobs` (.ts, .mts, .js, .mjs) of the working directory.
   */
  readonly jobs?: JobSource
  /** Go before environment and file, in the shape of `settings.toml`. */
  readonly settings?: SettingsOverrides
  /** Default: made from the settings. */
  readonly logger?: AppLogger
  /**
   * Services of your own: started before any run and stopped after the last, supervised as Piko's own are. A run borrows
   * one by naming its class among the job's resources.
   */
  readonly services?: readonly ServiceSource[]
  /** Whether this node may lead and plan ticks. Default true. */
  readonly plan?: boolean
  /** Whether this node executes runs; without it the app only asks and reads. Default true. */
  readonly execute?: boolean
  /** Execute runs of these jobs alone. */
  readonly only?: readonly string[]
  /** For tests. */
  readonly clock?: Clock
  /** How long a handler may go on after its signal has aborted, before its run is given up. Default 5,000. */
  readonly graceMs?: number
}
