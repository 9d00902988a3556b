import { visibleLine } from '../../visible.ts'
import type { Command } from 'commander'
import { systemClock } from '../../clock.ts'
import type { RunTimeline, TimelineRun } from '../../store/runs/timeline-runs.ts'
import { durationText } from '../output/run-text.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { type Column, table } from '../output/table.ts'
import { withApp } from '../with-app.ts'

const HOUR_MS = 3_600_000

interface TimelineOptions {
  readonly job?: string
  readonly from?: Date
  readonly to?: Date
  readonly limit: number
}

const COLUMNS: readonly Column<TimelineRun>[] = [
  { title: 'run', cell: ({ id }) => String(id) },
  { title: 'job', cell: ({ jobId }) => visibleLine(jobId) },
  { title: 'state', cell: ({ state }) => state },
  { title: 'due', cell: ({ runAt }) => instantText(runAt) },
  { title: 'began', cell: ({ startedAt }) => instantText(startedAt) },
  { title: 'waited', cell: ({ runAt, startedAt }) => between(runAt, startedAt) },
  { title: 'took', cell: ({ startedAt, finishedAt }) => between(startedAt, finishedAt) },
]

export function addRunsTimeline(runs: Command): void {
  runs
    .command('timeline')
    .description('Lists the runs that waited or ran in a range of time, newest first. Changes nothing.')
    .option('--from <instant>', 'start of the range; default: an hour before its end', parseInstant)
    .option('--to <instant>', 'end of the range; default: now', parseInstant)
    .option('--job <id>', 'only runs of this job')
    .option('--limit <count>', 'maximum number of runs to show', parseLimit, 1_000)
    .addHelpText(
      'after',
      examples([
        'piko runs timeline --job sync_orders',
        'piko runs timeline --from 2026-03-01T00:00:00Z --to 2026-03-01T01:00:00Z --json',
      ]),
    )
    .action(({ job, from, to, limit }: TimelineOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const end = to ?? new Date(systemClock.now())
        const start = from ?? new Date(end.getTime() - HOUR_MS)
        const filter = { from: start, to: end, limit, ...(job !== undefined && { jobId: job }) }
        const found = await app.runs.timeline(filter)
        printResult(json, found, () => textOf(found))
      }),
    )
}

function textOf({ runs, isWhole }: RunTimeline): string {
  if (runs.length === 0) return 'no runs'
  return `${table(COLUMNS, runs)}${isWhole ? '' : '\nthese are only some of the runs; choose a shorter range or a job'}`
}

function between(from: Date | undefined, to: Date | undefined): string {
  return from && to ? durationText({ startedAt: from, finishedAt: to }) : '-'
}
