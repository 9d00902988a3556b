import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Found } from '../harness/rounds.ts'
import type { SystemConfig } from '../harness/system.ts'
import { CRAWLEE, loadCrawlee } from './crawlee-package.ts'
import { Site } from './site.ts'

const ERROR_LEVEL = 1

/** Crawlee's CheerioCrawler with its default storage: a folder of files. */
export default async function siteCrawlee(config: SystemConfig): Promise<Found> {
  const [pages, parallel] = [Number(config['pages']), Number(config['parallel'] ?? 0)]
  await using site = await Site.start(pages)
  const folder = mkdtempSync(join(tmpdir(), 'piko-bench-crawlee-storage-'))
  process.env['CRAWLEE_STORAGE_DIR'] = folder
  const { CheerioCrawler, log } = await loadCrawlee()
  log.setLevel(ERROR_LEVEL)
  const crawler = new CheerioCrawler({
    requestHandler: async ({ enqueueLinks }) => {
      await enqueueLinks()
    },
    ...(parallel > 0 && { minConcurrency: parallel, maxConcurrency: parallel }),
  })
  const beganAt = performance.now()
  await crawler.run([site.seed])
  const values = await site.figures(performance.now() - beganAt)
  rmSync(folder, { recursive: true, force: true })
  return {
    about: { versions: { package: CRAWLEE }, settings: {} },
    values,
    settings: { pages, ...(parallel > 0 && { parallel }) },
  }
}
