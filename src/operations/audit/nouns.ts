import type { Backfills } from '../backfills/backfills.ts'
import type { Batches } from '../batches/batches.ts'
import type { Caches } from '../caches.ts'
import type { Configs } from '../configs.ts'
import type { Crawls } from '../crawls/crawls.ts'
import type { Items } from '../items/items.ts'
import type { Jobs } from '../jobs.ts'
import type { Limits } from '../limits.ts'
import type { Live } from '../live/live.ts'
import type { NamedLocks } from '../named-locks.ts'
import type { Nodes } from '../nodes.ts'
import type { Notify } from '../notify.ts'
import type { Resources } from '../resources.ts'
import type { Runs } from '../runs/runs.ts'
import type { Schedules } from '../schedules.ts'
import type { Services } from '../services.ts'
import type { Shared } from '../shared.ts'
import type { Sinks } from '../sinks.ts'
import type { Windows } from '../windows.ts'
import type { Audit } from './audit.ts'
import type { Tokens } from '../tokens/tokens.ts'

/** The namespaces of an app, such as `app.jobs`. */
export interface Nouns {
  readonly runs: Runs
  readonly jobs: Jobs
  readonly schedules: Schedules
  readonly windows: Windows
  readonly backfills: Backfills
  readonly batches: Batches
  readonly items: Items
  readonly crawls: Crawls
  readonly configs: Configs
  readonly limits: Limits
  readonly live: Live
  readonly locks: NamedLocks
  readonly nodes: Nodes
  readonly resources: Resources
  readonly services: Services
  readonly sinks: Sinks
  readonly notify: Notify
  readonly shared: Shared
  readonly cache: Caches
  readonly tokens: Tokens
  readonly audit: Audit
}

export type Noun = keyof Nouns

/** The names of a namespace's methods. */
export type VerbOf<N extends Noun> = {
  [V in keyof Nouns[N] & string]: Nouns[N][V] extends (...args: never[]) => unknown ? V : never
}[keyof Nouns[N] & string]
