import { bareLoops, type Contestant, peers, piko } from './harness/contestants.ts'
import { type Options, parseOptions, sceneOf } from './harness/options.ts'
import { prepare } from './harness/prepare.ts'
import { Round } from './harness/round.ts'
import { alternate, type Found } from './harness/rounds.ts'
import { Servers } from './harness/servers.ts'
import { table } from './harness/table.ts'

/** Jobs of one bulk call, of every system. */
const BATCH = 1_000

/**
 * How many durable no-op runs are processed in a second from a standing queue, and how many requests are stored in bulk. Beside
 * Piko, in turn, its peers and what the database gives to a bare loop of the least statements.
 */
export async function throughput(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv)
  const { store, binlog, lines } = options
  const contestants = [piko(options), ...bareLoops(store, binlog), ...peers(options.peers, store)]
  await prepare(contestants)
  await using servers = new Servers()
  await alternate({
    bench: 'throughput',
    scene: sceneOf(options, `${options.runs.toLocaleString('en')} runs`),
    lines,
    repeat: options.repeat,
    contestants,
    measure: (contestant) => measure(contestant, servers, options),
  })
  process.stderr.write(`\n${table(lines.all)}\n`)
}

async function measure(contestant: Contestant, servers: Servers, { runs, nodes }: Options): Promise<Found> {
  const count = Math.min(runs, contestant.mostJobs ?? runs)
  await using round = await Round.begin(contestant, servers)
  const enqueued = await round.phase('enqueue', count, BATCH)
  const serverCpu = round.server.cpuMs()
  // All nodes at once, until the queue is empty.
  const sharing = Array.from({ length: nodes }, () => round.phase('process', count, nodes > 1))
  const shares = await Promise.all(sharing)
  const serverMs = (round.server.cpuMs() ?? NaN) - (serverCpu ?? NaN)
  const handled = shares.reduce((sum, share) => sum + share.handled, 0)
  if (handled !== count) throw new Error(`${handled} handlers began for ${count} jobs`)
  const began = Math.min(...shares.map(({ firstAt }) => firstAt))
  const ended = Math.max(...shares.map(({ drainedAt }) => drainedAt))
  const cpuMs = shares.reduce((sum, share) => sum + share.cpuMs, 0)
  const values = new Map([
    ['enqueue', { value: (count / enqueued.ms) * 1_000, unit: 'runs/s' }],
    ['process', { value: (count / (ended - began)) * 1_000, unit: 'runs/s' }],
    ['client CPU', { value: cpuMs / count, unit: 'ms/run' }],
    ['RSS', { value: Math.max(...shares.map(({ rssMb }) => rssMb)), unit: 'MB' }],
  ])
  if (!Number.isNaN(serverMs)) values.set('server CPU', { value: serverMs / count, unit: 'ms/run' })
  return { about: round.about, values, settings: { runs: count, bulk: BATCH, nodes } }
}
