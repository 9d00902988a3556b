import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

/** A backfill of minute windows (`--runs`; default two years of them). One process plans it, another executes its runs. */
export async function backfill(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 1_051_200, repeat: 1 })
  const { runs: windows, store } = options
  await compareScripts('backfill', sceneOf(options, `${windows.toLocaleString('en')} windows`), options, [
    {
      ...piko(options),
      module: new URL('scripts/backfill.ts', import.meta.url),
      options: { store, windows },
    },
  ])
}
