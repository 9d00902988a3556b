import { type ServerName } from './servers.ts'
import { type SystemConfig } from './system.ts'

/** A system with the settings that it is measured with. */
export interface Contestant {
  readonly system: string
  readonly variant: string
  readonly module: URL
  readonly server: ServerName
  readonly options?: Omit<SystemConfig, 'dsn'>
  /** It would take minutes with more jobs. */
  readonly mostJobs?: number
}

export type StoreName = 'mysql' | 'sqlite'

export interface Piko {
  readonly store: StoreName
  readonly binlog: boolean
  readonly concurrency?: number
  readonly flags?: readonly string[]
}

const beside = (file: string): URL => new URL(`../${file}`, import.meta.url)

export function piko({ store, binlog, concurrency = 2_000 }: Piko): Contestant {
  const module = beside('systems/piko.ts')
  return { system: 'piko', variant: '', module, server: serverOf(store, binlog), options: { store, concurrency } }
}

/** What the database gives to a loop of the least statements, without an engine. */
export function bareLoops(store: StoreName, binlog: boolean): Contestant[] {
  const module = beside(store === 'sqlite' ? 'systems/bare-sqlite.ts' : 'systems/bare-mysql.ts')
  return [500, 1_000].map((batch) => ({
    system: 'bare loop',
    variant: `batches of ${batch.toLocaleString('en')}`,
    module,
    server: serverOf(store, binlog),
    options: store === 'sqlite' ? { batch } : { batch, lanes: 2 },
  }))
}

function serverOf(store: StoreName, binlog: boolean): ServerName {
  if (store === 'sqlite') return 'file'
  return binlog ? 'mysql with binlog' : 'mysql'
}

/**
 * With the settings of their own pages on performance. Graphile Worker: that of its `perfTest`. pg-boss: large batches, no pause
 * while they come back full, LISTEN/NOTIFY. BullMQ: one worker with a concurrency of 100. Sidequest: its handlers in the
 * worker's own process and thread, which is the fastest that it has for a no-op.
 */
const PEERS: readonly Contestant[] = [
  { system: 'graphile', variant: 'tuned', module: beside('peers/graphile.ts'), server: 'postgresql' },
  { system: 'bullmq', variant: 'redis', module: beside('peers/bullmq.ts'), server: 'redis' },
  { system: 'bullmq', variant: 'redis aof', module: beside('peers/bullmq.ts'), server: 'redis with aof' },
  { system: 'pg-boss', variant: 'tuned', module: beside('peers/pg-boss.ts'), server: 'postgresql' },
  {
    system: 'sidequest',
    variant: 'mysql',
    module: beside('peers/sidequest.ts'),
    server: 'mysql',
    options: { backend: 'mysql', concurrency: 100 },
    mostJobs: 2_000,
  },
  {
    system: 'sidequest',
    variant: 'sqlite',
    module: beside('peers/sidequest.ts'),
    server: 'file',
    options: { backend: 'sqlite', concurrency: 50 },
    mostJobs: 1_000,
  },
]

/** @param names `all`, `none`, or systems with commas between; on SQLite only those that run there too, unless named. */
export function peers(names: string, store: StoreName): Contestant[] {
  if (names === 'none') return []
  if (names === 'all') return PEERS.filter(({ server }) => (store === 'sqlite' ? server === 'file' : server !== 'file'))
  const wanted = names.split(',')
  const unknown = wanted.filter((name) => !PEERS.some(({ system }) => system === name))
  if (unknown.length > 0) {
    const known = [...new Set(PEERS.map(({ system }) => system))].join(', ')
    throw new Error(`--peers has "${unknown.join(', ')}"; expected all, none, or some of ${known}`)
  }
  return PEERS.filter(
    ({ system, server }) =>
      wanted.includes(system) && (system !== 'sidequest' || (server === 'file') === (store === 'sqlite')),
  )
}
