import type { Command } from 'commander'
import { PikoError } from '../../errors.ts'
import type { TriedPage } from '../../operations/crawls/tried-page.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings, readOnly } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { parseJson } from '../parse/parse-json.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { InterruptedError, stopSignals } from '../process/stop-signals.ts'
import { withAppOn } from '../with-app.ts'
import { triedText } from './crawls-text.ts'

interface TryCommandOptions {
  readonly step?: string
  readonly config?: Readonly<Record<string, unknown>>
  readonly window?: Date | string
  readonly jobs?: string[]
}

export function addTry(crawls: Command): void {
  crawls
    .command('try')
    .summary('load one page and run its step, without storing anything')
    .description(
      'Loads one page and calls its step. Shows the response, the rows of each sink, the requests that the step follows or leaves out with ' +
        'the reason, and errors with their location in your code. Nothing is stored in sinks or the database: transactions are rolled back. ' +
        'But writes of the step through a resource take effect. Exits with 1 if the page fails.',
    )
    .argument('<crawl>', 'id of the crawl')
    .argument('<url>', 'URL of the page')
    .option('--step <name>', 'step that parses the page; required if the crawl has several')
    .option('--config <json>', "overrides of the crawl's config", parseJson)
    .option('--window <start>', 'start of the window in the context of the step; default: the last window', parseMoment)
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko crawls try shop https://shop.test/p/1 --step detail',
        "piko crawls try shop https://shop.test/p/1 --step detail --json | jq '.rows.prices.rows'",
      ]),
    )
    .action((crawl: string, url: string, options: TryCommandOptions, command: Command) =>
      tryPage(crawl, url, options, globalOptions(command)),
    )
}

async function tryPage(crawl: string, url: string, options: TryCommandOptions, globals: GlobalOptions): Promise<void> {
  const settings = cliSettings(globals)
  const registry = await cliJobs(settings, options.jobs)
  const { step, config, window } = options
  const signals = stopSignals()
  const stop = new AbortController()
  void signals.first.then((signal) =>
    stop.abort(new InterruptedError(signal, `${signal} while the page was being tried`)),
  )
  try {
    await withAppOn(
      readOnly(settings),
      async (app) => {
        const request = { url, ...(step !== undefined && { step }) }
        const page = await app.crawls.try(crawl, request, {
          ...(config && { config }),
          ...(window !== undefined && { window }),
          signal: stop.signal,
        })
        printResult(globals.json, triedData(page), () => triedText(page))
        if (page.outcome === 'failed') throw failed(page)
      },
      [...registry],
    )
  } finally {
    signals.release()
  }
}

/** Returns the data that `--json` prints. A row with values that JSON can't represent becomes a string. */
function triedData(page: TriedPage): object {
  const rows = Object.entries(page.rows).map(([sink, { count, rows: some }]) => [
    sink,
    { count, rows: some.map(plainRow) },
  ])
  return { ...page, rows: Object.fromEntries(rows) as object }
}

function plainRow(row: unknown): unknown {
  try {
    JSON.stringify(row)
    return row
  } catch {
    return String(row)
  }
}

function failed({ crawl, step, class: name, error }: TriedPage): PikoError {
  return new PikoError(
    'CRAWL_FAILED',
    `the page failed in step "${step}" of crawl "${crawl}": ${error?.message ?? ''}`,
    {
      details: { crawl, step, class: name, place: error?.place },
    },
  )
}
