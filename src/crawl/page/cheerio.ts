import { createRequire } from 'node:module'
import type { HtmlDocument } from '../html.ts'
import { isMissingPackage, optionalPackageNow } from '../../optional-package.ts'

type Load = (text: string, options?: { readonly xml: boolean }) => HtmlDocument

let loaded: Load | undefined

/**
 * Imports cheerio before the first page needs it, because the import would then block the event loop. Does nothing if cheerio is not
 * installed, because not every crawl reads HTML.
 */
export async function prepareCheerio(): Promise<void> {
  try {
    const { load } = await import('cheerio')
    // The cast is safe: `HtmlNode` declares only some properties of cheerio's nodes.
    loaded ??= load as Load
  } catch (thrown) {
    if (!isMissingPackage('cheerio', thrown)) throw thrown
  }
}

/**
 * Returns cheerio's function `load`.
 *
 * @param what the feature that needs cheerio, for the error message
 * @throws PikoError `PACKAGE_MISSING`
 */
export function loadCheerio(what: string): Load {
  loaded ??= optionalPackageNow('cheerio', what, () => {
    // `page.html()` is synchronous, so cheerio can't be loaded by an asynchronous import here.
    const { load } = createRequire(import.meta.url)('cheerio') as { readonly load: Load }
    return load
  })
  return loaded
}
