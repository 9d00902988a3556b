import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions, sceneOf } from './harness/options.ts'

const WORKERS = 50
const IO_MS = 50

const script = (name: string): URL => new URL(`scripts/${name}.ts`, import.meta.url)

/** A crawler's work: 500 items (`--runs`), 50 workers and 50 ms of I/O per item. At most 1,000 items/s are possible. */
export async function crawl(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { runs: 500 })
  const { runs: items, store } = options
  const work = { items, workers: WORKERS, ioMs: IO_MS }
  await compareScripts('crawl', sceneOf(options, `${items.toLocaleString('en')} items`), options, [
    { ...piko(options), module: script('crawl'), options: { store, ...work } },
    { system: 'not durable', variant: '', module: script('crawl-bare'), server: 'file', options: work },
  ])
}
