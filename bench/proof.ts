import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

/** A proof of a ledger (`--runs` windows; default a million) whose table has ten rows per window. */
export async function proof(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 1_000_000, repeat: 1 })
  const { runs: windows, store } = options
  await compareScripts('proof', sceneOf(options, `${windows.toLocaleString('en')} windows of ten rows`), options, [
    { ...piko(options), module: new URL('scripts/proof.ts', import.meta.url), options: { store, windows } },
  ])
}
