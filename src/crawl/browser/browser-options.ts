import { readCall } from '../../calls/call-checks.ts'
import { describe } from '../../errors.ts'
import {
  aFunction,
  aText,
  expecting,
  flag,
  listOf,
  oneOf,
  type OptionCheck,
  type OptionChecks,
  readOptions,
  wholeNumber,
} from '../../options.ts'
import { aDuration } from '../../time/duration-check.ts'
import type { Duration } from '../../time/duration.ts'
import type { BrowserPage } from './browser-page.ts'
import { LONGEST_TIMER_MS } from '../../clock.ts'

export type ResourceKind =
  | 'image'
  | 'media'
  | 'font'
  | 'stylesheet'
  | 'script'
  | 'xhr'
  | 'fetch'
  | 'websocket'
  | 'other'

/** The options of `browser()`. */
export interface BrowserOptions {
  /** When a page is ready to be read: after a loading event, or when an element that matches a selector appears. Default `'load'`. */
  readonly wait?: 'load' | 'domcontentloaded' | 'networkidle' | { readonly selector: string }
  /** Called when the page is ready, for example to click or to scroll. The page's HTML is read afterwards. Default: no function. */
  // This is a method, so that an implementation may declare its parameter as Playwright's `Page`.
  drive?(page: BrowserPage, signal: AbortSignal): unknown
  /** The maximum number of pages that this downloader has open at the same time in one process, from 1 to 100. Default 4. */
  readonly size?: number
  /** After this many pages, a new browser replaces the old one to free memory. Default 200. */
  readonly recycle?: number
  /** Kinds of resources that are not loaded. Default `['image', 'media', 'font']`. */
  readonly block?: readonly ResourceKind[]
  /** The folder for screenshots of failed pages. Default: no screenshots. */
  readonly screenshots?: string
  /** The path of the browser's executable. Default: Chromium or Chrome in `/usr/bin`, otherwise the browser of playwright-core. */
  readonly executablePath?: string
  /** Additional command-line arguments of the browser. Default: none. `--no-sandbox` is always added if the process runs as root. */
  readonly args?: readonly string[]
  /** Whether the browser runs without a visible window. Default true. */
  readonly headless?: boolean
  /** The time limit for the start of the browser. Default `'30s'`. */
  readonly startTimeout?: Duration
}

const KINDS: readonly ResourceKind[] = [
  'image',
  'media',
  'font',
  'stylesheet',
  'script',
  'xhr',
  'fetch',
  'websocket',
  'other',
]
const MAX_PAGES = 100
const SELECTOR = { selector: aText }

const aWait: OptionCheck = (value) => {
  if (typeof value === 'string') return oneOf('load', 'domcontentloaded', 'networkidle')(value)
  const { problems } = readOptions(value, SELECTOR, "{ selector: 'h1' }", ['selector'])
  return problems.length === 0 ? undefined : `is ${describe(value)}: ${problems.join('; ')}`
}

const FORM = {
  call: 'browser',
  checks: {
    wait: aWait,
    drive: aFunction,
    size: wholeNumber(1, MAX_PAGES),
    recycle: wholeNumber(1),
    block: listOf('kinds of resources', oneOf(...KINDS)),
    screenshots: aText,
    executablePath: aText,
    args: listOf(
      'arguments',
      expecting('a string', (value) => typeof value === 'string'),
    ),
    headless: flag,
    startTimeout: aDuration(1, LONGEST_TIMER_MS),
  } satisfies OptionChecks<BrowserOptions>,
  example: "{ wait: 'networkidle' }",
}

/** Checks the options of `browser()`. @throws PikoError `USAGE` naming all problems */
export function readBrowserOptions(options: BrowserOptions): Partial<BrowserOptions> {
  return readCall<BrowserOptions>(FORM, {}, options)
}
