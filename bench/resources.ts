import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

/** 10,000 runs over two pools of 10 that their jobs name in opposite order. */
export async function resources(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 10_000, concurrency: 500 })
  const { runs, store } = options
  const module = new URL('scripts/resources.ts', import.meta.url)
  const contestant = { ...piko(options), module, options: { store, runs } }
  await compareScripts('resources', sceneOf(options, `${runs.toLocaleString('en')} runs`), options, [contestant])
}
