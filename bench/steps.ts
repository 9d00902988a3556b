import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

/** 10,000 steps of one run, many at the same time and one after the other, and the attempt that finds them all. */
export async function steps(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 10_000, concurrency: 200 })
  const { runs, concurrency, store } = options
  const module = new URL('scripts/steps.ts', import.meta.url)
  const contestant = { ...piko(options), module, options: { store, runs, concurrency } }
  await compareScripts('steps', sceneOf(options, `${runs.toLocaleString('en')} steps`), options, [contestant])
}
