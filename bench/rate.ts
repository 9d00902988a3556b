import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const LIMIT = 50
/** How long a busy node's event loop is blocked in each second. */
const BLOCK_MS = 100

/** 5,000 runs at 50 a second on two nodes: with free event loops, and with loops that are blocked for a tenth of each second. */
export async function rate(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 5_000, nodes: 2 })
  const { runs, nodes, store } = options
  const module = new URL('scripts/rate.ts', import.meta.url)
  const loops = [
    { variant: 'free', blockMs: 0 },
    { variant: 'blocked', blockMs: BLOCK_MS },
  ].map(({ variant, blockMs }) => ({
    ...piko(options),
    variant,
    module,
    options: { store, runs, nodes, limit: LIMIT, blockMs },
  }))
  await compareScripts('rate', sceneOf(options, `${runs.toLocaleString('en')} runs`), options, loops)
}
