import type { Page } from 'playwright-core'
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

export type ResourceKind =
  'image' | 'media' | 'font' | 'stylesheet' | 'script' | 'xhr' | 'fetch' | 'websocket' | 'other'

export interface BrowserOptions {
  /** When a page is ready: an event of its loading, or what appears in it. Default `'load'`. */
  readonly wait?: 'load' | 'domcontentloaded' | 'networkidle' | { readonly selector: string }
  /** Called when the page is ready, for clicks and scrolling. The page's HTML is read afterwards. */
  readonly drive?: (page: Page, signal: AbortSignal) => unknown
  /** Pages that are open at the same time in this process. Default 4. */
  readonly size?: number
  /** Replaces the browser after this many pages, which gives its memory back. Default 200. */
  readonly recycle?: number
  /** Kinds of resources that are not loaded. Default `['image', 'media', 'font']`. */
  readonly block?: readonly ResourceKind[]
  /** A folder for a picture of each page that failed. Default: none is taken. */
  readonly screenshots?: string
  /** The program of the browser. Default: Chromium where Debian installs it, otherwise that of playwright-core. */
  readonly executablePath?: string
  /** Arguments of the browser. Default: none, and `--no-sandbox` for root. */
  readonly args?: readonly string[]
  /** Default true. */
  readonly headless?: boolean
  /** Longest time to start the browser. Default `'30s'`. */
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
      expecting('a text', (value) => typeof value === 'string'),
    ),
    headless: flag,
    startTimeout: aDuration(1, 2 ** 31 - 1),
  } satisfies OptionChecks<BrowserOptions>,
  example: "{ wait: 'networkidle' }",
}

/** @throws PikoError `USAGE` naming all problems */
export function readBrowserOptions(options: BrowserOptions): Partial<BrowserOptions> {
  return readCall<BrowserOptions>(FORM, {}, options)
}
