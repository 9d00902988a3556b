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
const MAX_DELAY_MS = 3_600_000

/** The rules of one robots.txt for one crawler (RFC 9309). */
export class RobotsRules {
  readonly #robots: ReturnType<typeof robotsParser>
  readonly #token: string

  constructor(origin: string, text: string, userAgent: string) {
    const lines = text.split(/\r\n|\r|\n/).filter((line) => line.length <= MAX_LINE)
    this.#robots = robotsParser(`${origin}/robots.txt`, lines.join('\n'))
    this.#token = productToken(userAgent)
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

/** The name that robots.txt calls a crawler by: `acme-bot` for `acme-bot/1.2 (+https://acme.test)`. */
export function productToken(userAgent: string): string {
  return /^[^\s/;(]+/.exec(userAgent.trim())?.[0] ?? '*'
}
