import { type Command, InvalidArgumentError } from 'commander'
import type { DeadRow, DeadRowFilter, SinkStatus } from '../../operations/sinks.ts'
import { visibleLine } from '../../visible.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { parseRunId } from '../parse/parse-id.ts'
import { withApp, withAppOn } from '../with-app.ts'

interface Which {
  readonly job?: string
  readonly run?: number
  readonly id?: number[]
}

interface DeadOptions extends Which {
  readonly sink?: string
  readonly limit: number
}

export function addSinks(program: Command): void {
  const sinks = program
    .command('sinks')
    .summary('show rows that sinks could not deliver, deliver them again')
    .description('Shows rows on disk and rows that targets refused, and delivers refused rows again.')
  sinks.addHelpText('after', examples(['piko sinks list', 'piko sinks dead --sink orders', 'piko sinks replay orders']))
  addList(sinks, {
    noun: 'sinks',
    description: 'Lists sinks with refused rows, rows on disk or damaged files. Changes nothing.',
    examples: ['piko sinks list', "piko sinks list --json | jq '.sinks[] | select(.deadRows > 0)'"],
    columns: () => STATUS_COLUMNS,
    find: (_options: object, globals) => withApp(globals, (app) => app.sinks.list()),
    data: statusData,
  })
  addDead(sinks)
  addReplay(sinks)
  addDrop(sinks)
}

function addDead(sinks: Command): void {
  addWhich(sinks.command('dead'))
    .description('Lists rows that targets refused, the oldest first. Changes nothing.')
    .option('--sink <name>', 'only rows of this sink')
    .option('--limit <count>', 'maximum number of rows to list', parseLimit, 100)
    .addHelpText('after', examples(['piko sinks dead', 'piko sinks dead --sink orders --json']))
    .action((options: DeadOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const rows = await app.sinks.dead({ ...filterOf(options, options.sink), limit: options.limit })
        printResult(json, { dead: rows.map(deadData) }, () =>
          rows.length === 0 ? 'no dead rows' : table(DEAD_COLUMNS, rows),
        )
      }),
    )
}

function addReplay(sinks: Command): void {
  addWhich(sinks.command('replay'))
    .description(
      'Delivers refused rows of a sink again, with the code of your jobs. Deletes the rows that the target accepts.',
    )
    .argument('<sink>', 'name of the sink')
    .addOption(jobsOption())
    .addHelpText('after', examples(['piko sinks replay orders', 'piko sinks replay orders --run 17 --json']))
    .action(async (sink: string, options: Which & { readonly jobs?: string[] }, command: Command) => {
      const globals = globalOptions(command)
      const registry = await cliJobs(cliSettings(globals), options.jobs)
      await withAppOn(
        {},
        async (app) => {
          const replayed = await app.sinks.replay(filterOf(options, sink))
          const { delivered, refused, left } = replayed
          printResult(
            globals.json,
            { ...replayed },
            () => `${delivered} delivered, ${refused} refused again, ${left} left`,
          )
        },
        [...registry],
      )
    })
}

function addDrop(sinks: Command): void {
  addWhich(sinks.command('drop'))
    .description('Deletes refused rows of a sink.')
    .argument('<sink>', 'name of the sink')
    .addHelpText('after', examples(['piko sinks drop orders', 'piko sinks drop orders --id 7 --json']))
    .action((sink: string, options: Which, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const count = await app.sinks.drop(filterOf(options, sink))
        printResult(json, { count }, () => `${count} ${count === 1 ? 'row' : 'rows'} deleted`)
      }),
    )
}

/** Adds the options that select rows. */
function addWhich(command: Command): Command {
  return command
    .option('--job <id>', 'only rows of this job')
    .option('--run <run>', 'only rows of this run', parseRunId)
    .option('--id <id>', 'only the row with this id; may be repeated', collectId)
}

function filterOf({ job, run, id }: Which, sink: string | undefined): DeadRowFilter {
  return {
    ...(sink !== undefined && { sink }),
    ...(job !== undefined && { jobId: job }),
    ...(run !== undefined && { runId: run }),
    ...(id !== undefined && { ids: id }),
  }
}

function collectId(text: string, earlier: readonly number[] = []): number[] {
  const id = Number(text)
  if (Number.isSafeInteger(id) && id > 0) return [...earlier, id]
  throw new InvalidArgumentError('expected the number of a row, from piko sinks dead')
}

const STATUS_COLUMNS: readonly Column<SinkStatus>[] = [
  { title: 'sink', cell: ({ sink }) => visibleLine(sink) },
  { title: 'dead rows', cell: ({ deadRows }) => String(deadRows) },
  { title: 'spilled rows', cell: ({ spilledRows }) => String(spilledRows) },
  { title: 'oldest spilled', cell: ({ oldestSpilled }) => (oldestSpilled ? instantText(oldestSpilled) : '-') },
  { title: 'hosts', cell: ({ hosts }) => visibleLine(hosts.join(' ')) || '-' },
  { title: 'segments here', cell: ({ files }) => `${files.segments} (${files.bytes} bytes)` },
  { title: 'damaged here', cell: ({ files }) => files.damaged.join(' ') || '-' },
]

const DEAD_COLUMNS: readonly Column<DeadRow>[] = [
  { title: 'id', cell: ({ id }) => String(id) },
  { title: 'sink', cell: ({ sink }) => visibleLine(sink) },
  { title: 'job', cell: ({ jobId }) => jobId },
  { title: 'run', cell: ({ runId }) => String(runId) },
  { title: 'died', cell: ({ diedAt }) => instantText(diedAt) },
  { title: 'reason', cell: ({ reason }) => visibleLine(reason) },
  { title: 'row', cell: ({ content }) => visibleLine(content.slice(0, 80)) },
]

function statusData(status: SinkStatus): object {
  return { ...status, oldestDead: status.oldestDead ?? null, oldestSpilled: status.oldestSpilled ?? null }
}

function deadData(row: DeadRow): object {
  return { ...row, window: row.window ?? null }
}
