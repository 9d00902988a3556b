import { createRequire } from 'node:module'
import type { HtmlDocument } from '../html.ts'
import { isMissingPackage, optionalPackageNow } from '../../optional-package.ts'

type Load = (text: string, options?: { readonly xml: boolean }) => HtmlDocument

let loaded: Load | undefined

/**
 * Imports cheerio before the first page needs it, so that loading it does not block the event loop. Does nothing if cheerio is not
 * installed, because not every crawl reads HTML.
 */
export async function prepareCheerio(): Promise<void> {
  try {
    const { load } = await import('cheerio')
    // Its nodes are those of cheerio. `HtmlNode` declares only a part of their properties.
    loaded ??= load as Load
  } catch (thrown) {
    if (!isMissingPackage('cheerio', thrown)) throw thrown
  }
}

/**
 * Returns the `load` function of cheerio.
 *
 * @param what what needs cheerio, for the error's message
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
