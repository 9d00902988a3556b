import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { type Options, parseOptions, sceneOf } from './harness/options.ts'

const WORKERS = 50
const IO_MS = 50
const STAGED = 500
/** The number of items in one statement of the bare loop: as many as in a claim for few free slots, and for many. */
const BATCHES = [10, 100]
const ENDED = [10_000, 1_000_000]

const script = (name: string): URL => new URL(`items/${name}.ts`, import.meta.url)

/**
 * The items of runs, in three measurements. First, 20,000 items (`--runs`) on two nodes, compared with a bare loop of the same statements:
 * each item only adds up to three others. Second, 500 items with 50 ms of I/O and one row each. Third, the rows that a claim reads if the
 * table also has many items that have ended (`--history` adds another such number).
 */
export async function items(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { nodes: 2, repeat: 3 })
  await graph(options)
  await staged(options)
  if (options.store === 'mysql') await reads(options)
}

async function graph(options: Options): Promise<void> {
  const { runs: pages, nodes, store } = options
  const contestants = (['pages', 'items'] as const).map((shape) => ({
    ...piko(options),
    ...{ variant: shape === 'pages' ? 'pages of a crawl' : 'items of a job', module: script('piko') },
    options: { store, pages, nodes, shape },
  }))
  const bare = BATCHES.map((batch) => ({
    ...{ system: 'bare loop', variant: `batches of ${batch}`, module: script('bare') },
    ...{ server: piko(options).server, options: { pages, nodes, batch } },
  }))
  const scene = sceneOf({ ...options, history: 0 }, `${pages.toLocaleString('en')} items`)
  await compareScripts('items', scene, options, [...contestants, ...(store === 'mysql' ? bare : [])])
}

async function staged(options: Options): Promise<void> {
  const work = { items: STAGED, workers: WORKERS, ioMs: IO_MS }
  const scene = sceneOf({ ...options, nodes: 1, history: 0 }, `${STAGED} items of ${IO_MS} ms`)
  await compareScripts('items', scene, options, [
    { ...piko(options), module: script('stages'), options: { store: options.store, ...work } },
  ])
}

async function reads(options: Options): Promise<void> {
  const sizes = options.history === 0 ? ENDED : [...ENDED, options.history]
  for (const ended of sizes) {
    const scene = sceneOf({ ...options, nodes: 1, history: 0 }, `${ended.toLocaleString('en')} ended items`)
    await compareScripts('items', scene, { ...options, repeat: 1 }, [
      { ...piko(options), module: script('reads'), options: { store: 'mysql', ended } },
    ])
  }
}
