/** An entry of a sitemap, or of an index of sitemaps. */
export interface Located {
  readonly kind: 'url' | 'sitemap'
  readonly loc: string
  readonly lastmod: string | undefined
}

/** A longer entry is no entry. */
const MAX_ENTRY_CHARS = 100_000
const OPENING = /<(?:[\w.-]{1,40}:)?(url|sitemap)(?=[\s>])[^>]*>/g
const COMMENT = /<!--[^]*?-->/g

/** The longest beginning of a tag that a piece may end with. */
const MAX_TAG_CHARS = 200

/** Finds the entries of a sitemap while its text arrives. Forgiving: what is no entry is left out. */
export class SitemapScanner {
  #rest = '';

  /** The entries that end in this piece. */
  *write(piece: string): Generator<Located, void> {
    const { text, held } = withoutComments(this.#rest + piece)
    let from = 0
    for (;;) {
      OPENING.lastIndex = from
      const opening = OPENING.exec(text)
      if (!opening) {
        from = Math.max(from, text.length - MAX_TAG_CHARS)
        break
      }
      const kind = opening[1] === 'url' ? 'url' : 'sitemap'
      const start = opening.index + opening[0].length
      const end = closing(kind, text, start)
      if (end === undefined && text.length - start <= MAX_ENTRY_CHARS) {
        from = opening.index
        break
      }
      from = end ?? start
      const entry = end === undefined ? undefined : entryOf(kind, text.slice(start, end))
      if (entry) yield entry
    }
    this.#rest = text.slice(from) + held
  }
}

/** The text before a comment that has not ended yet, and that comment. */
function withoutComments(text: string): { readonly text: string; readonly held: string } {
  if (!text.includes('<!--')) return { text, held: '' }
  const plain = text.replaceAll(COMMENT, '')
  const open = plain.indexOf('<!--')
  if (open === -1) return { text: plain, held: '' }
  const held = plain.slice(open)
  return { text: plain.slice(0, open), held: held.length > MAX_ENTRY_CHARS ? `<!--${held.slice(-2)}` : held }
}

function closing(kind: Located['kind'], text: string, start: number): number | undefined {
  const pattern = kind === 'url' ? /<\/(?:[\w.-]{1,40}:)?url\s*>/g : /<\/(?:[\w.-]{1,40}:)?sitemap\s*>/g
  pattern.lastIndex = start
  return pattern.exec(text)?.index
}

function entryOf(kind: Located['kind'], text: string): Located | undefined {
  const loc = elementText('loc', text)
  return loc === undefined || loc === '' ? undefined : { kind, loc, lastmod: elementText('lastmod', text) }
}

const ELEMENTS = {
  loc: /<(?:[\w.-]{1,40}:)?loc(?:\s[^>]{0,200})?>([^]*?)<\/(?:[\w.-]{1,40}:)?loc\s*>/,
  lastmod: /<(?:[\w.-]{1,40}:)?lastmod(?:\s[^>]{0,200})?>([^]*?)<\/(?:[\w.-]{1,40}:)?lastmod\s*>/,
}

function elementText(name: keyof typeof ELEMENTS, text: string): string | undefined {
  // Images and videos of a page have a location of their own name, such as <image:loc>: the page's comes first.
  const inner = ELEMENTS[name].exec(text)?.[1]
  return inner === undefined ? undefined : plainText(inner).trim()
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function plainText(xml: string): string {
  return xml
    .split(/(<!\[CDATA\[[^]*?\]\]>)/)
    .map((part) => (part.startsWith('<![CDATA[') ? part.slice(9, -3) : part.replaceAll(/&(#?\w{1,10});/g, character)))
    .join('')
}

function character(whole: string, name: string): string {
  if (!name.startsWith('#')) return NAMED[name] ?? whole
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
  return Number.isInteger(code) && code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
}
