import { setTimeout as sleep } from 'node:timers/promises'
import { createConnection, type RowDataPacket } from 'mysql2/promise'
import { compareSystems } from './harness/compare-systems.ts'
import { bareLoops, type Contestant, peers, piko } from './harness/contestants.ts'
import { type Options, parseOptions, sceneOf } from './harness/options.ts'
import type { Round } from './harness/round.ts'
import type { Values } from './harness/rounds.ts'

/** The number of jobs in one bulk call, for every system. */
const BATCH = 1_000
/** The time for a server to finish its work after the last answer, and for connections to end. */
const SETTLE_MS = 500
/** The number of pages not yet written, or with old versions not yet purged, below which the server is at rest. */
const FEW_PAGES = 500
const MAX_REST_MS = 300_000
const WITHOUT_HISTORY = 'without history'

/**
 * How many durable no-op runs are processed per second from a standing queue, and how many requests are stored in bulk. Alternates with
 * peers and with a bare loop that sends only the necessary statements. With a history, alternates with Piko without one.
 */
export async function throughput(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv)
  const { store, binlog, runs, nodes, history, work } = options
  const ours = piko(options)
  const beside = history > 0 ? [{ ...ours, variant: WITHOUT_HISTORY }] : bareLoops(store, binlog)
  await compareSystems({
    bench: 'throughput',
    scene: sceneOf(options, `${runs.toLocaleString('en')} runs`),
    options,
    contestants: [ours, ...beside, ...peers(options.peers, store)],
    settings: { runs, bulk: BATCH, nodes, history, ...(work > 0 && { workUs: work }) },
    measure: (round, contestant) => measure(round, contestant, options),
  })
}

async function measure(round: Round, contestant: Contestant, { runs, nodes, history, work }: Options): Promise<Values> {
  const count = Math.min(runs, contestant.mostJobs ?? runs)
  if (history > 0) {
    if (contestant.variant !== WITHOUT_HISTORY) await round.phase('fill', history)
    await atRest(round)
  }
  const enqueued = await round.phase('enqueue', count, BATCH)
  await sleep(SETTLE_MS)
  const serverCpu = round.server.cpuMs()
  // All nodes at the same time, until the queue is empty.
  const sharing = Array.from({ length: nodes }, () => round.phase('process', count, nodes > 1, work))
  // An error is thrown only once no node works any more.
  await Promise.allSettled(sharing)
  const shares = await Promise.all(sharing)
  await sleep(SETTLE_MS)
  const serverMs = (round.server.cpuMs() ?? NaN) - (serverCpu ?? NaN)
  const handled = shares.reduce((sum, share) => sum + share.handled, 0)
  if (handled !== count) throw new Error(`${handled} handlers began for ${count} jobs`)
  const worked = shares.filter((share) => share.handled > 0)
  const began = Math.min(...worked.map(({ firstAt }) => firstAt))
  const ended = Math.max(...worked.map(({ drainedAt }) => drainedAt))
  const cpuMs = shares.reduce((sum, share) => sum + share.cpuMs, 0)
  return {
    enqueue: { value: (count / enqueued.ms) * 1_000, unit: 'runs/s' },
    process: { value: (count / (ended - began)) * 1_000, unit: 'runs/s' },
    'client CPU': { value: cpuMs / count, unit: 'ms/run' },
    ...(Number.isNaN(serverMs) ? {} : { 'server CPU': { value: serverMs / count, unit: 'ms/run' } }),
    RSS: { value: Math.max(...shares.map(({ rssMb }) => rssMb)), unit: 'MB' },
  }
}

/** Waits until the server has done all work that writing the history caused, as if the history were old. */
async function atRest({ dsn }: Round): Promise<void> {
  if (!dsn.startsWith('mysql:')) return
  const server = await createConnection(dsn)
  const [[normal]] = await server.query<RowDataPacket[]>(
    'SELECT @@innodb_io_capacity AS capacity, @@innodb_io_capacity_max AS most, @@innodb_max_dirty_pages_pct AS dirty',
  )
  await server.query(
    'SET GLOBAL innodb_io_capacity_max = 20000, innodb_io_capacity = 20000, innodb_max_dirty_pages_pct = 0',
  )
  const counted = async (name: string): Promise<number> => {
    const [[row]] = await server.query<RowDataPacket[]>(`SHOW GLOBAL STATUS LIKE '${name}'`)
    return Number(row?.['Value'])
  }
  const until = performance.now() + MAX_REST_MS
  while (performance.now() < until) {
    const pages = await counted('Innodb_buffer_pool_pages_dirty')
    if (pages < FEW_PAGES && !((await counted('Innodb_history_list_length')) > FEW_PAGES)) break
    await sleep(SETTLE_MS)
  }
  await server.query('SET GLOBAL innodb_max_dirty_pages_pct = ?, innodb_io_capacity = ?, innodb_io_capacity_max = ?', [
    normal?.['dirty'],
    normal?.['capacity'],
    normal?.['most'],
  ])
  await server.end()
}
