import type { HtmlDocument, HtmlNode } from '../html.ts'
import { isMissingPackage, optionalPackageNow } from '../../optional-package.ts'
import { loadPackage } from '../../load-package.ts'

type Load = (content: string | HtmlNode, options?: { readonly xml: boolean }) => Loaded

/** A document, with the parts of cheerio that plugins use. */
interface Loaded extends HtmlDocument {
  readonly _root?: HtmlNode
  readonly _options?: object
  readonly fn?: { _parse?(text: string, options: object, isDocument: boolean, context: null): HtmlNode }
}

/** Parsed HTML or XML. */
export interface ParsedHtml {
  readonly root: HtmlNode
  /** Creates cheerio's functions for the parsed document. */
  readonly document: () => HtmlDocument
}

let loaded: Load | undefined
/** An empty document for HTML and one for XML. Only their parsers are used. */
const empty = new Map<boolean, Loaded>()

/**
 * Imports cheerio before the first page needs it. Otherwise, that page would load it synchronously and block the event loop. Does nothing
 * if cheerio is not installed, because not every crawl reads HTML.
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
 * Parses HTML or XML. For each document, `load` of cheerio also creates a class, which V8 never treats as short-lived. The whole document
 * then stays in memory until the next full garbage collection. So `document` is only called for steps that ask for it.
 *
 * @param what the feature that needs cheerio, for the error message
 * @throws PikoError `PACKAGE_MISSING`
 */
export function parseHtml(text: string, isXml: boolean, what: string): ParsedHtml {
  const load = loadCheerio(what)
  const options = isXml ? { xml: true } : undefined
  let parser = empty.get(isXml)
  if (!parser) empty.set(isXml, (parser = load('', options)))
  const root = parser.fn?._parse?.(text, { ...parser._options }, true, null)
  if (root) return { root, document: () => load(root, options) }
  const document = load(text, options)
  return { root: document._root ?? (document.root()[0] as HtmlNode), document: () => document }
}

function loadCheerio(what: string): Load {
  loaded ??= optionalPackageNow('cheerio', what, () => {
    // `page.html()` is synchronous, so cheerio can't be loaded by an asynchronous import here.
    const { load } = loadPackage<{ readonly load: Load }>('cheerio')
    return load
  })
  return loaded
}
