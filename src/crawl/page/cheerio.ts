import { createRequire } from 'node:module'
import type { CheerioAPI } from 'cheerio'
import { optionalPackage, optionalPackageNow } from '../../optional-package.ts'

type Load = (text: string, options?: { readonly xml: boolean }) => CheerioAPI

let loaded: Load | undefined

/**
 * Loads cheerio ahead of the first page, which takes some 100 ms.
 *
 * @throws PikoError `PACKAGE_MISSING`
 */
export async function prepareCheerio(what: string): Promise<void> {
  const { load } = await optionalPackage('cheerio', what, () => import('cheerio'))
  loaded ??= load
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
