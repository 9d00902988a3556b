import { compareSystems } from './harness/compare-systems.ts'
import { bareLoops, peers, piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const CALLERS = 50

/** Single requests from 50 parallel callers, each of which waits for its answer, compared with single-row inserts on 50 connections. */
export async function enqueueOne(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 10_000 })
  const { store, binlog, runs } = options
  await compareSystems({
    bench: 'enqueue-one',
    scene: sceneOf(options),
    options,
    contestants: [
      piko(options),
      ...bareLoops(store, binlog)
        .slice(0, 1)
        .map((bare) => ({ ...bare, variant: 'single inserts' })),
      ...peers(options.peers, store),
    ],
    settings: { runs, callers: CALLERS },
    measure: async (round, { mostJobs = runs }) => {
      const count = Math.min(runs, mostJobs)
      const { ms, cpuMs, p50, p99 } = await round.phase('enqueueOne', count, CALLERS)
      return {
        'enqueue one by one': { value: (count / ms) * 1_000, unit: 'runs/s' },
        'answer p50': { value: p50, unit: 'ms' },
        'answer p99': { value: p99, unit: 'ms' },
        'client CPU': { value: cpuMs / count, unit: 'ms/run' },
      }
    },
  })
}
