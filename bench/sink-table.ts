import { compareScripts } from './harness/compare-scripts.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const script = (name: string): URL => new URL(`scripts/${name}.ts`, import.meta.url)

/** Many rows of one window through `sqlTable`, and the same rows through mysql2 alone. */
export async function sinkTable(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 1_000_000, repeat: 3 })
  const { runs, store, binlog } = options
  const shared = { server: binlog ? 'mysql with binlog' : 'mysql' } as const
  const contestants = (['insert', 'load'] as const).flatMap((bulk) => [
    { ...shared, system: 'piko', variant: bulk, module: script('sink-table-piko'), options: { store, runs, bulk } },
    { ...shared, system: 'bare mysql2', variant: bulk, module: script('sink-table-bare'), options: { runs, bulk } },
  ])
  await compareScripts('sink-table', sceneOf(options, `${runs.toLocaleString('en')} rows`), options, contestants)
}
