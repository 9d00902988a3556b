import { createRequire } from 'node:module'
import type { CheerioAPI } from 'cheerio'
import { isMissingPackage, optionalPackageNow } from '../../optional-package.ts'

type Load = (text: string, options?: { readonly xml: boolean }) => CheerioAPI

let loaded: Load | undefined

/** Loads cheerio ahead of the first page, in turns of the event loop. Does nothing without it: not every crawl reads HTML. */
export async function prepareCheerio(): Promise<void> {
  try {
    const { load } = await import('cheerio')
    loaded ??= load
  } catch (thrown) {
    if (!isMissingPackage('cheerio', thrown)) throw thrown
  }
}

/**
 * The parser of cheerio.
 *
 * @param what what needs it, for the message
 * @throws PikoError `PACKAGE_MISSING`
 */
export function loadCheerio(what: string): Load {
  loaded ??= optionalPackageNow('cheerio', what, () => {
    // A step reads its page without waiting, so this can't be an import.
    const { load } = createRequire(import.meta.url)('cheerio') as { readonly load: Load }
    return load
  })
  return loaded
}
