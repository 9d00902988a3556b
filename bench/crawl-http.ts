import { compareScripts } from './harness/compare-scripts.ts'
import { piko } from './harness/contestants.ts'
import { parseOptions } from './harness/options.ts'
import { installCrawlee } from './site/crawlee-package.ts'

const PARALLEL = 50

const script = (name: string): URL => new URL(`site/${name}.ts`, import.meta.url)

/**
 * Crawls 20,000 pages (`--runs`) of a local site that answers immediately, each time in one process. Compares Piko on MariaDB and on
 * SQLite, Crawlee's CheerioCrawler, and a loop that uses undici and cheerio directly.
 */
export async function crawlHttp(argv: readonly string[]): Promise<void> {
  const options = parseOptions(argv, { repeat: 3 })
  const { runs: pages, peers } = options
  if (peers !== 'none') await installCrawlee()
  const work = { pages, parallel: PARALLEL }
  const ours = (['mysql', 'sqlite'] as const).map((store) => ({
    ...piko({ ...options, store }),
    ...{ variant: store, module: script('piko'), options: { store, ...work } },
  }))
  const crawlee = { system: 'crawlee', server: 'file', module: script('crawlee') } as const
  await compareScripts('crawl-http', `${pages.toLocaleString('en')} pages`, options, [
    ...ours,
    ...(peers === 'none'
      ? []
      : [
          { ...crawlee, variant: 'as shipped', options: { pages } },
          { ...crawlee, variant: `${PARALLEL} at once`, options: work },
        ]),
    { system: 'bare loop', variant: '', server: 'file', module: script('bare'), options: work },
  ])
}
