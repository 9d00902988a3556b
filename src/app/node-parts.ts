import type { Clock, DatabaseTestClock } from '../clock.ts'
import type { LocalServices } from '../engine/fleet/local-services.ts'
import type { LoopHealth } from '../engine/loop/loop-health.ts'
import type { Outlets } from '../engine/notices/outlets.ts'
import type { Events } from '../events.ts'
import type { JobRegistry } from '../job/registry.ts'
import type { Items, ItemsOwn } from './items-parts.ts'
import type { Logger } from '../logger.ts'
import type { ResourcesService } from '../resource/resources-service.ts'
import type { Claim } from '../run/run.ts'
import type { Settings } from '../settings/settings.ts'
import type { SinkReach } from '../operations/reach.ts'
import type { SinksService } from '../sink/sinks-service.ts'
import type { StoreService } from '../store/store-service.ts'

/** The parts that a node's services are built from. */
export interface NodeParts {
  readonly store: StoreService
  readonly registry: JobRegistry
  readonly resources: ResourcesService
  readonly sinks: SinksService
  readonly sinkReach: SinkReach
  readonly outlets: Outlets
  /** The services of this process, for requests of other nodes. */
  readonly services: LocalServices
  readonly events: Events
  readonly clock: Clock
  /** The clock for planning. Default: the database's. */
  readonly testClock: Clock | undefined
  /** The test clock, if it also replaces the database's clock. */
  readonly databaseClock: DatabaseTestClock | undefined
  readonly runLog: (claim: Claim) => Logger
  readonly settings: Settings
  /** Sets the level of this process's log; undefined: the level that it began with. */
  readonly setLogLevel: (level: Settings['piko']['logLevel'] | undefined) => void
  readonly loops: LoopHealth
  readonly role: NodeRole
  /** Creates the parts that run items; undefined for an app without items. */
  readonly buildItems: ((parts: NodeParts, own: ItemsOwn) => Items) | undefined
  /** How long a handler may continue after its signal has aborted. */
  readonly graceMs: number
}

/** Which kinds of work a node does. */
export interface NodeRole {
  readonly plan: boolean
  readonly execute: boolean
  /** Whether the node claims only runs of its registered jobs. */
  readonly onlyRegistered: boolean
  /** Whether the node claims only runs that this process has requested. */
  readonly onlyOwn: boolean
}
