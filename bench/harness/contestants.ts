import type { ServerName } from './servers.ts'
import type { SystemConfig } from './system.ts'

/** A system and the settings with which it is measured. */
export interface Contestant {
  readonly system: string
  readonly variant: string
  readonly module: URL
  readonly server: ServerName
  readonly options?: Omit<SystemConfig, 'dsn'>
  /** The maximum number of jobs: with more, this system would take minutes. */
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

/** Loops that send only the necessary statements, without an engine. They show what the database can do. */
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
 * Peers with the settings that their own performance pages use. Graphile Worker: the settings of its `perfTest`. pg-boss: large batches, no
 * pause while they are full, LISTEN/NOTIFY. BullMQ: one worker with a concurrency of 100. Sidequest: handlers in the worker's own process
 * and thread, its fastest way for a no-op.
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

/** @param names `all`, `none`, or systems separated by commas; on SQLite `all` means those that also run there */
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
