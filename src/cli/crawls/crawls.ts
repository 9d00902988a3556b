import { type Command, Option } from 'commander'
import { ITEM_STATES, type ItemState } from '../../item/item.ts'
import type { CrawlRef, PageFilter, PageReplay } from '../../operations/crawls/crawl-options.ts'
import type { CrawlReplayed } from '../../operations/crawls/crawl-status.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { table } from '../output/table.ts'
import { parseItemId, parseRunId } from '../parse/parse-id.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'
import { addTry } from './crawls-try.ts'
import { deadColumns, hostColumns, pageColumns, pagesText, statusText } from './crawls-text.ts'
import { watchStatus } from './watch-status.ts'

const CRAWL = 'number of a run, or id of a crawl, which selects its newest run with pages'

export function addCrawls(program: Command): void {
  const crawls = program
    .command('crawls')
    .alias('crawl')
    .summary('show and replay pages of crawls, pause hosts, try a page')
    .description('Shows the pages of crawls, loads dead pages again, pauses hosts, and tries single pages.')
    .addHelpText(
      'after',
      examples([
        'piko crawls status shop --watch',
        'piko crawls dead shop',
        'piko crawls replay shop',
        'piko crawls pause shop.test',
        'piko crawls try shop https://shop.test/p/1 --step detail',
      ]),
    )
  addStatus(crawls)
  addPages(crawls)
  addDead(crawls)
  addReplay(crawls)
  addLanes(crawls)
  addPause(
    crawls,
    'pause',
    'Loads no more pages of a host on any node until it is resumed. Pages in progress continue.',
  )
  addPause(crawls, 'resume', 'Loads pages of a paused host again.')
  addTry(crawls)
}

/** Parses an argument: a string of digits is the number of a run, any other text is the id of a crawl. */
function refOf(text: string): CrawlRef {
  return /^\d+$/.test(text) ? parseRunId(text) : text
}

function addStatus(crawls: Command): void {
  crawls
    .command('status')
    .description(
      'Shows how many pages of a run are in each state, its speed, its steps and its hosts. Changes nothing.',
    )
    .argument('<crawl>', CRAWL, refOf)
    .option('--watch', 'show the status each second until the run has ended; exits with 1 unless it succeeded')
    .addHelpText(
      'after',
      examples(['piko crawls status shop --watch', "piko crawls status 17 --json | jq '.steps.detail.dead'"]),
    )
    .action((crawl: CrawlRef, { watch = false }: { readonly watch?: boolean }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        if (watch) return watchStatus(app, crawl, json)
        const status = await app.crawls.status(crawl)
        printResult(json, status, () => statusText(status))
      }),
    )
}

type ListOptions = Omit<PageFilter, 'limit'> & { readonly limit: number }

function addPages(crawls: Command): void {
  filtered(
    crawls
      .command('items')
      .description('Lists pages of a run, ordered by their numbers. Changes nothing.')
      .argument('<crawl>', CRAWL, refOf)
      .addOption(new Option('--state <state>', 'only pages in this state').choices(ITEM_STATES)),
  )
    .addHelpText(
      'after',
      examples(['piko crawls items shop --state queued', 'piko crawls items 17 --after 200 --json']),
    )
    .action((crawl: CrawlRef, options: ListOptions & { readonly state?: ItemState }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { runId, pages, next } = await app.crawls.items(crawl, options)
        printResult(json, { runId, pages, next }, () => pagesText(pageColumns, pages, next))
      }),
    )
}

function addDead(crawls: Command): void {
  filtered(
    crawls
      .command('dead')
      .description('Lists dead pages of a run with their errors. Changes nothing.')
      .argument('<crawl>', CRAWL, refOf),
  )
    .addHelpText(
      'after',
      examples(['piko crawls dead shop', "piko crawls dead 17 --step detail --json | jq '.pages[].error.stack'"]),
    )
    .action((crawl: CrawlRef, options: ListOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { runId, pages, next } = await app.crawls.dead(crawl, options)
        printResult(json, { runId, pages, next }, () => pagesText(deadColumns, pages, next))
      }),
    )
}

function filtered(command: Command): Command {
  return command
    .option('--step <name>', 'only pages of this step')
    .option('--host <name>', 'only pages of this host')
    .option('--limit <count>', 'maximum number of pages to show', parseLimit, 100)
    .option('--after <page>', 'only pages with a higher number; give the "next" of the previous list', parseItemId)
}

function addReplay(crawls: Command): void {
  crawls
    .command('replay')
    .description(
      'Puts dead pages back into the queue. A page whose step failed is parsed from its kept response, without a new request. A failed run is ' +
        'reopened, and succeeds if its pages do. With the id of a crawl, replays all its runs that have not succeeded.',
    )
    .argument('<crawl>', 'number of a run, or the id of a crawl', refOf)
    .addOption(
      new Option('--state <state>', 'replay pages in this state; default: dead').choices([
        'dead',
        'skipped',
        'cancelled',
      ]),
    )
    .option('--step <name>', 'only pages of this step')
    .option('--host <name>', 'only pages of this host')
    .addHelpText('after', examples(['piko crawls replay shop', 'piko crawls replay 17 --step detail --host shop.test']))
    .action((crawl: CrawlRef, options: PageReplay, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const replayed = await app.crawls.replay(crawl, options)
        printResult(json, replayed, () => replayedText(replayed))
      }),
    )
}

function replayedText({ pages, runs, refused }: CrawlReplayed): string {
  const of = runs.length > 1 ? ` of ${runs.length} runs` : ''
  const head = `${pages} ${pages === 1 ? 'page' : 'pages'}${of} queued again`
  return [head, ...refused.map(({ runId, reason }) => `run ${runId} is left out: ${reason}`)].join('\n')
}

function addLanes(crawls: Command): void {
  crawls
    .command('lanes')
    .description('Lists hosts with their numbers of pages, speeds, limits and circuit breakers. Changes nothing.')
    .option('--run <run>', 'only hosts with queued or running pages of this run', parseRunId)
    .option('--limit <count>', 'maximum number of hosts to show', parseLimit, 100)
    .addHelpText('after', examples(['piko crawls lanes', 'piko crawls lanes --run 17 --json']))
    .action(({ run, limit }: { readonly run?: number; readonly limit: number }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const lanes = await app.crawls.lanes({ limit, ...(run !== undefined && { runId: run }) })
        printResult(json, { lanes }, () => (lanes.length === 0 ? 'no hosts' : table(hostColumns, lanes)))
      }),
    )
}

function addPause(crawls: Command, verb: 'pause' | 'resume', description: string): void {
  crawls
    .command(verb)
    .description(description)
    .argument('<host>', 'host of the pages, followed by the port unless it is the default port')
    .addHelpText('after', examples([`piko crawls ${verb} shop.test`, `piko crawls ${verb} 127.0.0.1:8080 --json`]))
    .action((host: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { lanes } = await app.crawls[verb](host)
        printResult(json, { host, lanes }, () => `${host} ${verb === 'pause' ? 'paused' : 'resumed'}`)
      }),
    )
}
