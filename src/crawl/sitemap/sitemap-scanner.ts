/** An entry of a sitemap, or of a sitemap index. */
export interface Located {
  readonly kind: 'url' | 'sitemap'
  readonly loc: string
  readonly lastmod: string | undefined
}

/** The maximum length of an entry. Longer entries are ignored. */
const MAX_ENTRY_CHARS = 100_000
const OPENING = /<(?:[\w.-]{1,40}:)?(url|sitemap)(?=[\s>])[^>]{0,100}>/g

/** How many characters to keep if no tag is found, because the piece may end within a tag. */
const MAX_TAG_CHARS = 200

/** Finds the entries of a sitemap while its text arrives. Ignores everything else, so it can also read invalid XML. */
export class SitemapScanner {
  #rest = '';

  /** Takes the next piece of the text, and yields the entries that are now complete. */
  *write(piece: string): Generator<Located, void> {
    const { text, held } = withoutComments(this.#rest + piece)
    let from = 0
    // Kinds of entries whose end was not found. The same text is not searched again for them.
    const unended = new Set<Located['kind']>()
    for (;;) {
      OPENING.lastIndex = from
      const opening = OPENING.exec(text)
      if (!opening) {
        from = Math.max(from, text.length - MAX_TAG_CHARS)
        break
      }
      const kind = opening[1] === 'url' ? 'url' : 'sitemap'
      const start = opening.index + opening[0].length
      const end = unended.has(kind) ? undefined : closing(kind, text, start)
      if (end === undefined) unended.add(kind)
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

/** Removes XML comments from a string. `held` is the beginning of an unfinished comment, to be put before the next piece. */
function withoutComments(text: string): { readonly text: string; readonly held: string } {
  if (!text.includes('<!--')) return { text, held: '' }
  const parts: string[] = []
  let from = 0
  for (;;) {
    const open = text.indexOf('<!--', from)
    parts.push(text.slice(from, open === -1 ? undefined : open))
    if (open === -1) return { text: parts.join(''), held: '' }
    const end = text.indexOf('-->', open + 4)
    // Only the last two characters are kept, because they may be the beginning of `-->`.
    if (end === -1) return { text: parts.join(''), held: `<!--${text.slice(Math.max(open + 4, text.length - 2))}` }
    from = end + 3
  }
}

function closing(kind: Located['kind'], text: string, start: number): number | undefined {
  const pattern = kind === 'url' ? /<\/(?:[\w.-]{1,40}:)?url\s{0,20}>/g : /<\/(?:[\w.-]{1,40}:)?sitemap\s{0,20}>/g
  pattern.lastIndex = start
  return pattern.exec(text)?.index
}

function entryOf(kind: Located['kind'], text: string): Located | undefined {
  const loc = elementText('loc', text)
  return loc === undefined || loc === '' ? undefined : { kind, loc, lastmod: elementText('lastmod', text) }
}

/**
 * The patterns of an element's opening and closing tags. They are searched one after another: a single pattern would take quadratic time if
 * a string has many opening tags and no closing tag.
 */
const ELEMENTS = {
  loc: [/<(?:[\w.-]{1,40}:)?loc(?:\s[^>]{0,200})?>/, /<\/(?:[\w.-]{1,40}:)?loc\s{0,20}>/],
  lastmod: [/<(?:[\w.-]{1,40}:)?lastmod(?:\s[^>]{0,200})?>/, /<\/(?:[\w.-]{1,40}:)?lastmod\s{0,20}>/],
} as const

function elementText(name: keyof typeof ELEMENTS, text: string): string | undefined {
  // Images and videos of an entry also have such elements, for example <image:loc>. The first one belongs to the page.
  const [opening, closing] = ELEMENTS[name]
  const open = opening.exec(text)
  if (!open) return undefined
  const rest = text.slice(open.index + open[0].length)
  const end = rest.search(closing)
  return end === -1 ? undefined : plainText(rest.slice(0, end)).trim()
}

const CDATA = '<![CDATA['
const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function plainText(xml: string): string {
  const parts: string[] = []
  let from = 0
  for (;;) {
    const open = xml.indexOf(CDATA, from)
    const end = open === -1 ? -1 : xml.indexOf(']]>', open)
    parts.push(xml.slice(from, end === -1 ? undefined : open).replaceAll(/&(#?\w{1,10});/g, character))
    if (end === -1) return parts.join('')
    parts.push(xml.slice(open + CDATA.length, end))
    from = end + 3
  }
}

function character(whole: string, name: string): string {
  if (!name.startsWith('#')) return NAMED[name] ?? whole
  const code = /^#x/i.test(name) ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
  return Number.isInteger(code) && code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
}
