import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const LIMIT = 50

/** A batch of 5,000 calls at 50 a second on two nodes, of which 100 fail. One call replays them. */
export async function batch(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 5_000, nodes: 2 })
  const { runs, nodes, store } = options
  const calls = {
    ...piko(options),
    module: new URL('scripts/batch.ts', import.meta.url),
    options: { store, runs, nodes, limit: LIMIT },
  }
  await compareScripts('batch', sceneOf(options, `${runs.toLocaleString('en')} runs`), options, [calls])
}
