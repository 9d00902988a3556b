import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const script = (name: string): URL => new URL(`scripts/${name}.ts`, import.meta.url)

/** 50,000 handlers that await at the same time in one process. */
export async function inFlight(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 50_000 })
  const { runs, store } = options
  await compareScripts('in-flight', sceneOf(options, `${runs.toLocaleString('en')} runs`), options, [
    { ...piko(options), module: script('in-flight'), options: { store, runs } },
    { system: 'bare promises', variant: '', module: script('in-flight-bare'), server: 'file', options: { runs } },
  ])
}
