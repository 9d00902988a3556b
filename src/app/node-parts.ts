import { type Clock } from '../clock.ts'
import { type Events } from '../events.ts'
import { type JobRegistry } from '../job/registry.ts'
import { type Logger } from '../logger.ts'
import { type ResourcesService } from '../resource/resources-service.ts'
import { type Claim } from '../run/run.ts'
import { type Settings } from '../settings/settings.ts'
import { type SinksService } from '../sink/sinks-service.ts'
import { type StoreService } from '../store/store-service.ts'

/** What the services of a node are made of. */
export interface NodeParts {
  readonly store: StoreService
  readonly registry: JobRegistry
  readonly resources: ResourcesService
  readonly sinks: SinksService
  readonly events: Events
  readonly clock: Clock
  /** Plans by this clock. Default: the database's. */
  readonly testClock: Clock | undefined
  readonly runLog: (claim: Claim) => Logger
  readonly settings: Settings
  readonly role: NodeRole
  /** How long a handler may go on after its signal has aborted. */
  readonly graceMs: number
}

/** What a node takes part in. */
export interface NodeRole {
  readonly plan: boolean
  readonly execute: boolean
  /** Claims runs of its own jobs alone. */
  readonly onlyRegistered: boolean
}
