import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import type { Line } from './harness/line.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const RATE = 1_000
const READERS = 200
/** The share of the throughput without readers that must remain. */
const LEAST_SHARE = 0.95
/** A batch of events may take 15 s. Before, the buffers of both sockets fill: some megabytes. */
const MAX_CUT_MS = 90_000
const MAX_GROWTH_MB = 64

/**
 * A fixed rate of runs on one node, without readers of its events and with 200 over HTTP. Some of them lose their connection again and
 * again, some stop reading. Exit code 1 if a goal is missed.
 */
export async function liveReaders(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { seconds: 300, runs: RATE, nodes: READERS, repeat: 1 })
  const { runs: rate, nodes: readers, seconds, store, lines } = options
  const module = new URL('scripts/live-readers.ts', import.meta.url)
  const with_ = (count: number) => ({
    ...piko(options),
    variant: count === 0 ? 'no readers' : `${count} readers`,
    module,
    options: { store, rate, seconds, readers: count },
  })
  const scene = sceneOf({ ...options, nodes: 1 }, `${rate.toLocaleString('en')} runs/s`)
  await compareScripts('live-readers', scene, options, [with_(0), with_(readers)])
  const misses = missedGoals(lines.all)
  console.error(misses.length === 0 ? 'all goals are met' : `missed: ${misses.join('; ')}`)
  if (misses.length > 0) process.exitCode = 1
}

function missedGoals(lines: readonly Line[]): string[] {
  const value = (measure: string, isWith = true): number =>
    lines.find((line) => line.measure === measure && (line.variant !== 'no readers') === isWith)?.median ?? NaN
  const goals: Readonly<Record<string, boolean>> = {
    'throughput within 5 %': value('settled') >= LEAST_SHARE * value('settled', false),
    'no event lost': value('lost events') === 0,
    'no event twice': value('duplicate events') === 0,
    'each reader has every run': value('ends of runs that a reader missed') === 0,
    'readers that stop are cut': value('time until a stopped reader is disconnected') <= MAX_CUT_MS,
    'the memory of the server returns': value('heap growth') <= MAX_GROWTH_MB,
  }
  return Object.keys(goals).filter((goal) => !goals[goal])
}
