import { type Command, Option } from 'commander'
import type { JobOverview } from '../../operations/jobs.ts'
import type { OverviewFilter } from '../../operations/operation-options.ts'
import type { CappedCount } from '../../store/statements/capped-count.ts'
import { formatMs } from '../../time/duration.ts'
import { examples, globalOptions } from '../global-options.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'

/** One character for each of the last runs; the newest is last. */
const MARKS = { succeeded: '.', failed: 'F', cancelled: 'c', skipped: 's', running: '>' } as const
const SHOWN_RUNS = 20

export function addJobsOverview(jobs: Command): void {
  jobs
    .command('overview')
    .description(
      'Shows the jobs of the database with their last runs, queue, failures of the last 24 hours, and lag. Changes nothing. ' +
        'Last runs, oldest first: . succeeded, F failed, c cancelled, s skipped, > running.',
    )
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(['active', 'paused']))
    .addOption(
      new Option(
        '--order <order>',
        'attention: late jobs first, then those with failures, then by id; default: id',
      ).choices(['id', 'attention']),
    )
    .option('--search <text>', 'only jobs whose id contains this text')
    .option('--limit <count>', 'maximum number of jobs', parseLimit, 100)
    .option('--after <job>', 'only jobs after this one, for the next page')
    .addHelpText(
      'after',
      examples([
        'piko jobs overview',
        'piko jobs overview --order attention',
        'piko jobs overview --search orders --json',
      ]),
    )
    .action((options: OverviewFilter, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { jobs: found, next } = await app.jobs.overview({ ...options, runs: SHOWN_RUNS })
        printResult(json, { jobs: found, next: next ?? null }, () =>
          found.length === 0 ? 'no jobs' : [table(COLUMNS, found), ...moreText(next)].join('\n'),
        )
      }),
    )
}

function moreText(next: string | undefined): string[] {
  return next === undefined ? [] : [`There are more: continue with --after ${next}`]
}

const COLUMNS: readonly Column<JobOverview>[] = [
  { title: 'job', cell: ({ id }) => id },
  { title: 'state', cell: ({ state }) => state },
  {
    title: 'last runs',
    cell: ({ lastRuns }) =>
      lastRuns
        .toReversed()
        .map(({ state }) => MARKS[state])
        .join('') || '-',
  },
  { title: 'queued', cell: ({ queued }) => countText(queued) },
  { title: 'running', cell: ({ running }) => countText(running) },
  { title: 'failed 24h', cell: ({ failed }) => countText(failed) },
  { title: 'next tick', cell: ({ nextTick }) => instantText(nextTick) },
  { title: 'lag', cell: ({ ledger }) => (ledger && ledger.lagMs > 0 ? formatMs(ledger.lagMs) : '-') },
]

function countText({ count, isExact }: CappedCount): string {
  return isExact ? String(count) : `${count}+`
}
