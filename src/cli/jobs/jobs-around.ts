import type { Command } from 'commander'
import { examples, globalOptions } from '../global-options.ts'
import type { DeclaredLimits, JobLimits } from '../../operations/views/job-limits.ts'
import type { JobDependencies, RelatedJob } from '../../operations/views/job-dependencies.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, fieldsText, table } from '../output/table.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleLine } from '../../visible.ts'
import { withApp } from '../with-app.ts'

/** Adds the commands that show the neighbours of a job, and its limits. */
export function addJobsAround(jobs: Command): void {
  jobs
    .command('dependencies')
    .description(
      'Shows the jobs that a job depends on and those that depend on it, with the state of their newest windows. Changes nothing.',
    )
    .argument('<job>', 'id of the job')
    .addHelpText('after', examples(['piko jobs dependencies report', 'piko jobs dependencies report --json']))
    .action((jobId: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const found = await app.jobs.dependencies(jobId)
        printResult(json, found, () => table(relatedColumns(found), found.jobs))
      }),
    )
  jobs
    .command('limits')
    .description('Shows what limits the runs of a job, and how many are running and waiting. Changes nothing.')
    .argument('<job>', 'id of the job')
    .addHelpText('after', examples(['piko jobs limits sync_orders', 'piko jobs limits sync_orders --json']))
    .action((jobId: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const found = await app.jobs.limits(jobId)
        printResult(json, found, () => fieldsText(LIMIT_COLUMNS, found))
      }),
    )
}

function relatedColumns({ edges }: JobDependencies): Column<RelatedJob>[] {
  const upstreams = Map.groupBy(edges, ({ to }) => to)
  return [
    { title: 'job', cell: ({ id }) => visibleLine(id) },
    {
      title: 'depends on',
      cell: ({ id }) => visibleLine((upstreams.get(id) ?? []).map(({ from }) => from).join(', ')) || '-',
    },
    { title: 'newest window', cell: ({ latest }) => instantText(latest?.start) },
    { title: 'its state', cell: ({ latest }) => latest?.state ?? '-' },
    { title: 'failed windows', cell: ({ hasFailed }) => (hasFailed ? 'yes' : 'no') },
    { title: 'state', cell: ({ state }) => state },
  ]
}

const LIMIT_COLUMNS: readonly Column<JobLimits>[] = [
  { title: 'running', cell: ({ running }) => String(running) },
  { title: 'queued', cell: ({ queued }) => String(queued) },
  ...(
    [
      ['concurrency', ({ concurrency }) => concurrency],
      ['windows in parallel', ({ parallel }) => parallel],
      ['per key', ({ perKey }) => perKey],
      ['rate', ({ rate }) => rate && `${rate.limit} in ${formatMs(rate.perMs)}${rate.isKeyed ? ', per key' : ''}`],
      ['overlap', ({ overlap }) => overlap],
      ['timeout', ({ timeoutMs }) => timeoutMs && formatMs(timeoutMs)],
      ['attempts', ({ attempts }) => attempts ?? 'without end'],
    ] as const satisfies readonly (readonly [string, (declared: DeclaredLimits) => string | number | undefined])[]
  ).map(([title, cell]: readonly [string, (declared: DeclaredLimits) => string | number | undefined]) => ({
    title,
    cell: ({ declared }: JobLimits) => (declared ? String(cell(declared) ?? '-') : 'not known here'),
  })),
]
