import { type Command, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { PikoError } from '../../errors.ts'
import { BATCH_STATES, type BatchState } from '../../run/batch.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { printResult } from '../output/print-result.ts'
import { parseBatchId } from '../parse/parse-id.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { parsePriority } from '../parse/parse-number.ts'
import { followed } from '../process/followed.ts'
import { withApp, withAppOn } from '../with-app.ts'
import { readItems, withLines } from './batch-items.ts'
import { batchColumns, batchData, batchText, outcomeText } from './batch-text.ts'

interface CreateOptions {
  readonly items: string
  readonly key?: string
  readonly onDone?: string
  readonly priority?: number
  readonly wait?: boolean
  readonly jobs?: string[]
}

interface ListOptions {
  readonly job?: string
  readonly state?: BatchState
  readonly limit: number
}

export function addBatches(program: Command): void {
  const batches = program
    .command('batches')
    .alias('batch')
    .summary('store many runs of a job as one batch')
    .description(
      'Stores many runs of one job as one batch. A batch has one progress and one report, and can be cancelled or replayed as a whole.',
    )
    .addHelpText(
      'after',
      examples([
        'piko batches create ship_order --items orders.ndjson --key "ship 2026-01-01"',
        'piko batches wait 3',
        'piko batches replay 3',
      ]),
    )
  addCreate(batches)
  addBatchList(batches)
  addShow(batches)
  addWait(batches)
  addCancel(batches)
  addReplay(batches)
}

function addCreate(batches: Command): void {
  batches
    .command('create')
    .description(
      'Creates a batch: one run for each line of a file. Running nodes execute the runs. With --key, a repeated command returns the ' +
        'same batch. If the first command was interrupted, the repeated one stores the missing runs.',
    )
    .argument('<job>', 'id of the job')
    .requiredOption(
      '--items <file>',
      'file with the ctx.input of one run on each line, as JSON; - reads standard input',
    )
    .option('--key <text>', 'name of the batch, unique for its job; default: every command creates another batch')
    .option('--on-done <job>', 'a job that runs once when all runs have ended')
    .option('--priority <number>', "a smaller number runs first; default: the job's own", parsePriority)
    .option('--wait', 'wait until all runs have ended; exits with 1 unless all succeeded')
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko batches create ship_order --items orders.ndjson --key "ship 2026-01-01" --on-done report_orders',
        'jq -c ".orders[]" orders.json | piko batches create ship_order --items - --wait',
      ]),
    )
    .action((jobId: string, options: CreateOptions, command: Command) => create(jobId, options, globalOptions(command)))
}

async function create(jobId: string, options: CreateOptions, globals: GlobalOptions): Promise<void> {
  const registry = await cliJobs(cliSettings(globals), options.jobs)
  const { key, onDone, priority, wait = false } = options
  const { items, lines } = await readItems(options.items)
  await withAppOn(
    {},
    async (app) => {
      const created = app.batches.create(jobId, items, {
        ...(key !== undefined && { key }),
        ...(onDone !== undefined && { onDone }),
        ...(priority !== undefined && { priority }),
      })
      const { id } = await created.catch((thrown: unknown) => {
        throw withLines(thrown, lines)
      })
      if (wait) await waitFor(app, id, globals.json)
      else {
        const batch = await app.batches.show(id)
        printResult(globals.json, batchData(batch), () => batchText(batch))
      }
    },
    [...registry],
  )
}

function addBatchList(batches: Command): void {
  addList(batches, {
    noun: 'batches',
    description: 'Lists batches, newest first. Changes nothing.',
    examples: ['piko batches list', 'piko batches list --job ship_order --state failed --json'],
    columns: batchColumns,
    find: ({ job, state, limit }: ListOptions, globals) =>
      withApp(globals, (app) =>
        app.batches.list({ limit, ...(job !== undefined && { jobId: job }), ...(state && { state }) }),
      ),
    data: batchData,
  })
    .option('--job <id>', 'only batches of this job')
    .addOption(new Option('--state <state>', 'only batches in this state').choices(BATCH_STATES))
    .option('--limit <count>', 'maximum number of batches to show', parseLimit, 100)
}

function addShow(batches: Command): void {
  batches
    .command('show')
    .description('Shows the report of a batch: progress, durations, and failures grouped by error. Changes nothing.')
    .argument('<batch>', 'number of the batch', parseBatchId)
    .addHelpText('after', examples(['piko batches show 3', "piko batches show 3 --json | jq '.failures[].runIds'"]))
    .action((id: number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const batch = await app.batches.show(id)
        printResult(json, batchData(batch), () => batchText(batch))
      }),
    )
}

function addWait(batches: Command): void {
  batches
    .command('wait')
    .description('Waits until all runs of a batch have ended, and shows its report. Exits with 1 unless all succeeded.')
    .argument('<batch>', 'number of the batch', parseBatchId)
    .addHelpText('after', examples(['piko batches wait 3', 'piko batches wait 3 --json']))
    .action((id: number, _options: object, command: Command) =>
      withApp(globalOptions(command), (app, json) => waitFor(app, id, json)),
    )
}

async function waitFor(app: Piko, id: number, json: boolean): Promise<void> {
  await followed({ what: `batch ${id}`, show: `piko batches show ${id}`, json }, (options) =>
    app.batches.wait(id, options),
  )
  const batch = await app.batches.show(id)
  printResult(json, batchData(batch), () => batchText(batch))
  if (batch.state === 'succeeded') return
  throw new PikoError('RUN_FAILED', `batch ${id} ${batch.state}: ${outcomeText(batch)}`, {
    details: { batchId: id, state: batch.state, failed: batch.failed },
  })
}

function addCancel(batches: Command): void {
  batches
    .command('cancel')
    .description(
      'Cancels a batch: its queued runs immediately, its runs in progress within two seconds. A batch that has ended is not changed.',
    )
    .argument('<batch>', 'number of the batch', parseBatchId)
    .addHelpText('after', examples(['piko batches cancel 3', 'piko batches cancel 3 --json']))
    .action((id: number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const batch = await app.batches.cancel(id)
        printResult(json, batchData(batch), () => batchText(batch))
      }),
    )
}

interface ReplayOptions {
  readonly state?: 'failed' | 'cancelled'
  readonly dryRun?: boolean
}

function addReplay(batches: Command): void {
  batches
    .command('replay')
    .description(
      'Puts the failed runs of a batch back into the queue. The batch is running again until these runs have ended.',
    )
    .argument('<batch>', 'number of the batch', parseBatchId)
    .addOption(
      new Option('--state <state>', 'replay runs in this state; default: failed').choices(['failed', 'cancelled']),
    )
    .option('--dry-run', 'only show how many runs it would queue')
    .addHelpText('after', examples(['piko batches replay 3 --dry-run', 'piko batches replay 3']))
    .action((id: number, { state, dryRun = false }: ReplayOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { count } = await app.batches.replay(id, { dryRun, ...(state && { state }) })
        printResult(
          json,
          { batchId: id, dryRun, count },
          () => `${count} ${count === 1 ? 'run' : 'runs'} ${dryRun ? 'would be queued again' : 'queued again'}`,
        )
      }),
    )
}
