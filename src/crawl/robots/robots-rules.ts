import robotsParserModule from 'robots-parser'
import { isObject, safely } from '../../errors-read.ts'
import { normalEscapes } from '../request/canonical-url.ts'

/** According to the package's types, the function is the module's property `default`. In fact, the module itself is the function. */
const robotsParser = robotsParserModule as unknown as typeof robotsParserModule.default

/** The result of loading a robots.txt. It is stored for all nodes. */
export interface RobotsAnswer {
  /** The text of the file. Null if the host has no robots.txt (then everything is allowed), or if it could not be read. */
  readonly text: string | null
  /** Why the file could not be read, such as `answered 503`. Nothing may be loaded from the host then. */
  readonly unreachable?: string
  /** When this result expires, in milliseconds since 1970. */
  readonly until: number
  /** The `crawl-delay` in milliseconds, as stored in the lane together with this result. */
  readonly delayMs?: number
}

/** Returns the stored form: one line of JSON, then the text of the file. As JSON, the text could be several times as long. */
export function storedAnswer({ text, ...head }: RobotsAnswer): string {
  // NUL characters are replaced by spaces: the database does not accept them, and no rule contains them.
  return `${JSON.stringify({ ...head, isThere: text !== null })}\n${text?.replaceAll('\0', ' ') ?? ''}`
}

/** Parses a stored result. If it can't be parsed, returns an expired result that says so. */
export function readAnswer(stored: string): RobotsAnswer {
  const [first = ''] = stored.split('\n', 1)
  const value = safely(() => JSON.parse(first) as unknown, undefined)
  if (!isObject(value)) return { text: null, unreachable: 'is stored in an unknown form', until: 0 }
  const { isThere, unreachable, until, delayMs } = value as Partial<RobotsAnswer> & { readonly isThere?: unknown }
  return {
    text: isThere === true ? stored.slice(first.length + 1) : null,
    ...(typeof unreachable === 'string' && { unreachable }),
    until: typeof until === 'number' ? until : 0,
    ...(typeof delayMs === 'number' && { delayMs }),
  }
}

/** Longer lines are ignored: they are not useful rules, and matching them could take a long time. */
const MAX_LINE = 2_000
/** Limits on rules. Each URL is matched against all of them, and longer patterns take more time. */
const MAX_PATTERN = 500
const MAX_STARS = 20
const MAX_RULES = 5_000
/** The maximum total length of all patterns with a `*`, in characters. */
const MAX_WILD_CHARS = 20_000
/** Limits on the work for one URL. If a path would need more work, only its beginning is matched. */
const MAX_STEPS = 10_000_000
const MAX_PLACES = 5_000_000
/** The approximate memory of a rule in bytes, without its text. */
const RULE_BYTES = 200
const MAX_DELAY_MS = 3_600_000

/** The rules of one robots.txt for one crawler (RFC 9309). */
export class RobotsRules {
  readonly #robots: ReturnType<typeof robotsParser>
  readonly #origin: string
  readonly #token: string
  readonly #longestPath: number
  /** The approximate memory of the rules, in bytes. */
  readonly bytes: number

  constructor(origin: string, text: string, userAgent: string) {
    this.#origin = origin
    this.#token = productToken(userAgent)
    const { lines, rules, wildChars } = linesFor(this.#token, text)
    this.#robots = robotsParser(`${origin}/robots.txt`, lines.join('\n'))
    this.#longestPath = Math.floor(Math.min(MAX_STEPS / Math.max(1, wildChars), MAX_PLACES / Math.max(1, rules)))
    this.bytes = lines.reduce((sum, line) => sum + line.length + RULE_BYTES, RULE_BYTES)
  }

  isAllowed(url: string): boolean {
    const { pathname, search } = new URL(url)
    // RFC 9309: robots.txt itself is always allowed.
    if (pathname === '/robots.txt') return true
    // RFC 9309, section 2.2.2: an unnecessarily escaped character is the same as the character itself.
    const path = normalEscapes(`${pathname}${search}`).slice(0, this.#longestPath)
    return this.#robots.isAllowed(`${this.#origin}${path}`, this.#token) !== false
  }

  /** The `crawl-delay` for this crawler in milliseconds, one hour at most. Undefined if there is none. */
  get delayMs(): number | undefined {
    const seconds = this.#robots.getCrawlDelay(this.#token)
    return seconds !== undefined && seconds > 0 ? Math.min(seconds * 1_000, MAX_DELAY_MS) : undefined
  }

  get sitemaps(): readonly string[] {
    return this.#robots.getSitemaps()
  }
}

/**
 * Returns the lines that apply to this crawler, up to the limits above. `Sitemap` lines come last and unknown lines are left out, because
 * the parser would end a group of rules at such a line.
 */
function linesFor(
  token: string,
  text: string,
): { readonly lines: readonly string[]; readonly rules: number; readonly wildChars: number } {
  const ours = new Set(['*', token.toLowerCase()])
  const lines: string[] = []
  const sitemaps: string[] = []
  let names: string[] = []
  let isNaming = false
  let rules = 0
  let wildChars = 0
  for (const line of text.split(/\r\n|\r|\n/)) {
    if (line.length > MAX_LINE) continue
    const [, field = '', rest = ''] = /^\s*([\w-]{1,40})\s*:(.*)$/.exec(line) ?? []
    const value = (rest.split('#', 1)[0] ?? '').trim()
    const name = field.toLowerCase()
    if (name === 'sitemap') sitemaps.push(`${field}: ${rest.trim()}`)
    else if (name === 'user-agent') {
      if (!isNaming) names = []
      isNaming = true
      names.push(agentOf(value))
    } else if (name === 'allow' || name === 'disallow' || name === 'crawl-delay') {
      const mine = names.filter((one) => ours.has(one))
      if (isNaming) lines.push(...mine.map((one) => `User-agent: ${one}`))
      isNaming = false
      const pattern = normalEscapes(value.replaceAll(/\*{2,}/g, '*'))
      const stars = pattern.split('*').length - 1
      const isTooMuch = pattern.length > MAX_PATTERN || stars > MAX_STARS || rules >= MAX_RULES
      if (mine.length === 0 || isTooMuch || wildChars > MAX_WILD_CHARS) continue
      rules += 1
      if (stars > 0) wildChars += pattern.length
      lines.push(`${field}: ${pattern}`)
    }
  }
  return { lines: [...lines, ...sitemaps], rules, wildChars }
}

function agentOf(value: string): string {
  return (value.toLowerCase().split('/', 1)[0] ?? '').trim()
}

/**
 * Returns a crawler's name in robots.txt files: `acme-bot` for the user agents `acme-bot/1.2 (+https://acme.test)` and
 * `Mozilla/5.0 (compatible; acme-bot/1.2; +https://acme.test)`.
 */
export function productToken(userAgent: string): string {
  const hidden = /^Mozilla\/.*?\bcompatible;\s*([^\s/;()]+)/i.exec(userAgent.trim())?.[1]
  if (hidden !== undefined) return hidden
  return /^[^\s/;(]+/.exec(userAgent.trim())?.[0] ?? '*'
}
