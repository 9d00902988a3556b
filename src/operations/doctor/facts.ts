import type { ClockFacts } from '../../store/doctor/clock-facts.ts'
import type { FleetFacts } from '../../store/doctor/fleet-facts.ts'
import type { QueryPlan } from '../../store/doctor/plan-facts.ts'
import type { RightsFacts } from '../../store/doctor/rights-facts.ts'
import type { RunFacts } from '../../store/doctor/run-facts.ts'
import type { SchemaFacts } from '../../store/doctor/schema-facts.ts'
import type { ServerFacts } from '../../store/doctor/server-facts.ts'
import type { SizeFacts } from '../../store/doctor/size-facts.ts'
import type { PathFact } from './path-facts.ts'
import type { SettingsProblem } from '../../settings/problem.ts'
import type { Settings } from '../../settings/settings.ts'

/** One current setting. */
export interface SettingFact {
  /** The key of the setting, such as `mysql.pool_size`. */
  readonly key: string
  /** The value as text. Secrets are masked. */
  readonly value: string
  /** Where the value comes from: `default`, `file …`, `environment variable …` or `override`. */
  readonly origin: string
}

export interface SettingsFacts {
  /** The settings file; undefined if none was read. */
  readonly file: string | undefined
  readonly settings: Settings
  readonly values: readonly SettingFact[]
}

/** A row that can't be read. */
export interface BrokenFact {
  readonly table: string
  readonly key: string
  readonly columns: readonly string[]
  readonly message: string
}

/** All facts that checks use. Each fact is collected separately. */
export interface Facts {
  /** The problems of the settings. Empty if the settings are valid. */
  readonly problems: readonly SettingsProblem[]
  readonly settings: SettingsFacts
  /** The paths in the settings that this process can't use. */
  readonly paths: readonly PathFact[]
  /** The duration of a round trip to the database, in milliseconds. */
  readonly ping: number
  readonly server: ServerFacts
  readonly clock: ClockFacts
  readonly rights: RightsFacts
  readonly schema: SchemaFacts
  readonly sizes: SizeFacts
  readonly runs: RunFacts
  readonly fleet: FleetFacts
  readonly plans: readonly QueryPlan[]
  readonly broken: readonly BrokenFact[]
}

export type FactName = keyof Facts
