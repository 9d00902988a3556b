import robotsParserModule from 'robots-parser'
import { isObject, safely } from '../../errors-read.ts'

/** Its types say that the function is a property of the module, but it is the module. */
const robotsParser = robotsParserModule as unknown as typeof robotsParserModule.default

/** What a host said of its robots.txt, as all nodes keep it. */
export interface RobotsAnswer {
  /** Its text; null if everything is allowed, because there is none. */
  readonly text: string | null
  /** Why it could not be read, so that nothing is allowed: `answered 503`. */
  readonly unreachable?: string
  /** Until when it is valid, in milliseconds since the epoch. */
  readonly until: number
}

/** Parses the stored form. An unreadable one has expired. */
export function readAnswer(stored: string): RobotsAnswer {
  const value = safely(() => JSON.parse(stored) as unknown, undefined)
  if (!isObject(value)) return { text: null, unreachable: 'is stored in an unknown form', until: 0 }
  const { text, unreachable, until } = value as Partial<RobotsAnswer>
  return {
    text: typeof text === 'string' ? text : null,
    ...(typeof unreachable === 'string' && { unreachable }),
    until: typeof until === 'number' ? until : 0,
  }
}

/** Longer lines are no rules, and matching them could take long. */
const MAX_LINE = 2_000
/** Rules are matched with each page, in steps that grow with the length of the pattern and of the path. */
const MAX_PATTERN = 500
const MAX_STARS = 20
const MAX_RULES = 5_000
/** Characters of all patterns with a `*`. */
const MAX_WILD_CHARS = 20_000
const MAX_DELAY_MS = 3_600_000

/** The rules of one robots.txt for one crawler (RFC 9309). */
export class RobotsRules {
  readonly #robots: ReturnType<typeof robotsParser>
  readonly #token: string

  constructor(origin: string, text: string, userAgent: string) {
    this.#token = productToken(userAgent)
    this.#robots = robotsParser(`${origin}/robots.txt`, linesFor(this.#token, text).join('\n'))
  }

  isAllowed(url: string): boolean {
    // robots.txt itself is always allowed.
    return new URL(url).pathname === '/robots.txt' || this.#robots.isAllowed(url, this.#token) !== false
  }

  /** The `crawl-delay` in milliseconds; undefined without one. */
  get delayMs(): number | undefined {
    const seconds = this.#robots.getCrawlDelay(this.#token)
    return seconds !== undefined && seconds > 0 ? Math.min(seconds * 1_000, MAX_DELAY_MS) : undefined
  }

  get sitemaps(): readonly string[] {
    return this.#robots.getSitemaps()
  }
}

/**
 * The lines that say something to a crawler, as many as can be matched in a short time. `Sitemap` and unknown lines come last or not at all:
 * they must not divide the lines of a group.
 */
function linesFor(token: string, text: string): string[] {
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
      const pattern = value.replaceAll(/\*{2,}/g, '*')
      const stars = pattern.split('*').length - 1
      const isTooMuch = pattern.length > MAX_PATTERN || stars > MAX_STARS || rules >= MAX_RULES
      if (mine.length === 0 || isTooMuch || wildChars > MAX_WILD_CHARS) continue
      rules += 1
      if (stars > 0) wildChars += pattern.length
      lines.push(`${field}: ${pattern}`)
    }
  }
  return [...lines, ...sitemaps]
}

function agentOf(value: string): string {
  return (value.toLowerCase().split('/', 1)[0] ?? '').trim()
}

/** The name that robots.txt calls a crawler by: `acme-bot` for `acme-bot/1.2 (+https://acme.test)`. */
export function productToken(userAgent: string): string {
  return /^[^\s/;(]+/.exec(userAgent.trim())?.[0] ?? '*'
}
