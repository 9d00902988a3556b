import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import type { BackfillStatus } from '../../operations/backfills/backfill-status.ts'
import { PikoError } from '../../errors.ts'
import {
  BACKFILL_ONLY,
  BACKFILL_ORDERS,
  BACKFILL_STATES,
  type BackfillOnly,
  type BackfillOrder,
  type BackfillState,
} from '../../ledger/backfill.ts'
import { zoneOfDefinition } from '../../engine/planning/plan-job.ts'
import { visibleJson, visibleLine } from '../../visible.ts'
import { formatMs } from '../../time/duration.ts'
import type { Window } from '../../time/window.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings, readOnly } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { parseBackfillId } from '../parse/parse-id.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { parseJson } from '../parse/parse-json.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { parsePriority } from '../parse/parse-number.ts'
import { dateData, jobZone, localRange, rangeText } from '../output/local-window.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { followed } from '../process/followed.ts'
import { type Style, styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp, withAppOn } from '../with-app.ts'
import type { BackfillRequest } from '../../operations/backfills/backfill-request.ts'
import { remoteTarget } from '../remote/target.ts'

interface CreateOptions {
  readonly from: Date | string
  readonly to: Date | string
  readonly parallel?: number
  readonly order: BackfillOrder
  readonly only: BackfillOnly
  readonly config?: unknown
  readonly priority?: number
  readonly dryRun?: boolean
  readonly follow?: boolean
  readonly jobs?: string[]
}

interface ListOptions {
  readonly job?: string
  readonly state?: BackfillState
  readonly limit: number
}

export function addBackfill(program: Command): void {
  const backfill = program
    .command('backfills')
    .alias('backfill')
    .summary('run the windows of a range')
    .description('Runs the windows of a range: the missing ones, the failed ones, or all. Running nodes do the work.')
    .addHelpText(
      'after',
      examples([
        'piko backfills create sync_orders --from 2025-01-01T00:00:00Z --to 2026-01-01T00:00:00Z',
        'piko backfills show 3 --follow',
        'piko backfills pause 3',
      ]),
    )
  addCreate(backfill)
  addBackfillList(backfill)
  addShow(backfill)
  addChange(
    backfill,
    'pause',
    'Pauses a backfill: no node starts further runs of it; runs in progress continue to their end.',
  )
  addChange(backfill, 'resume', 'Resumes a paused backfill where it stopped.')
  addChange(
    backfill,
    'cancel',
    'Cancels a backfill: its queued runs, its runs in progress (within two seconds), and its remaining windows.',
  )
}

function addCreate(backfill: Command): void {
  backfill
    .command('create')
    .description(
      'Creates a backfill of the windows that have ended and lie wholly within --from and --to. Running nodes execute it, after ' +
        'ordinary runs. It survives restarts. --dry-run lists the exact windows and changes nothing.',
    )
    .argument('<job>', 'id of a job with windows')
    .requiredOption(
      '--from <instant>',
      "start of the range: an instant such as 2025-01-01T00:00:00Z, or a date in the job's time zone such as 2025-01-01",
      parseMoment,
    )
    .requiredOption('--to <instant>', 'end of the range (exclusive), as an instant or a date', parseMoment)
    .option(
      '--parallel <count>',
      'windows in progress at the same time; default: windows.parallel of the job',
      parseCount,
    )
    .addOption(new Option('--order <order>', 'which windows come first').choices(BACKFILL_ORDERS).default('oldest'))
    .addOption(
      new Option('--only <which>', 'which windows; missing: those that never ran, or are skipped, cancelled or stale')
        .choices(BACKFILL_ONLY)
        .default('missing'),
    )
    .option('--config <json>', "overrides of the job's config", parseJson)
    .option('--priority <number>', "a smaller number runs first; default: the job's own plus 10,000", parsePriority)
    .option('--dry-run', 'list the exact windows and change nothing')
    .option('--follow', 'show the progress until the backfill has ended')
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko backfills create sync_orders --from 2025-01-01 --to 2026-01-01 --parallel 8 --follow',
        'piko backfills create sync_orders --from 2025-01-01T00:00:00Z --to 2025-02-01T00:00:00Z --dry-run --json',
        'piko backfills create sync_orders --from 2025-01-01T00:00:00Z --to 2026-01-01T00:00:00Z --only failed --order newest',
      ]),
    )
    .action((jobId: string, options: CreateOptions, command: Command) => create(jobId, options, globalOptions(command)))
}

async function create(jobId: string, options: CreateOptions, globals: GlobalOptions): Promise<void> {
  const settings = cliSettings(globals)
  const registry = await cliJobs(settings, options.jobs)
  const request = requestOf(options)
  if (options.dryRun) {
    const job = remoteTarget.isSet ? undefined : registry.get(jobId)
    const ofCode = job ? zoneOfDefinition(job) : 'UTC'
    await withAppOn(
      readOnly(settings),
      async (app) => list(app, jobId, (await jobZone(app, jobId)) ?? ofCode, request, globals.json),
      [...registry],
    )
    return
  }
  await withAppOn(
    {},
    async (app) => {
      const { id } = await app.backfills.create(jobId, request)
      await report(app, id, globals.json, options.follow)
    },
    [...registry],
  )
}

function requestOf({ from, to, order, only, parallel, config, priority }: CreateOptions): BackfillRequest {
  return {
    ...{ from, to, order, only },
    ...(parallel !== undefined && { parallel }),
    ...(config !== undefined && { config }),
    ...(priority !== undefined && { priority }),
  }
}

/** Writes each window as soon as it is found, because a range may have more windows than fit in memory. */
async function list(app: Piko, jobId: string, zone: string, request: BackfillRequest, json: boolean): Promise<void> {
  let count = 0
  const begin = `{"job":${visibleJson(jobId)},"timezone":${visibleJson(zone)},"windows":[`
  const local = (window: Window): string => (zone === 'UTC' ? '' : `  ${localRange(window, zone)}`)
  for await (const window of app.backfills.preview(jobId, request)) {
    const { start, end, state } = window
    const text = json
      ? `${count === 0 ? begin : ','}${JSON.stringify({ start, end, state: state ?? null, ...dateData(window, zone) })}`
      : `${instantText(start)}  ${instantText(end)}  ${state ?? 'missing'}${local(window)}\n`
    count += 1
    await written(text)
  }
  const none = count === 0 ? begin : ''
  await written(json ? `${none}],"count":${count}}\n` : `${count} ${count === 1 ? 'window' : 'windows'} to run\n`)
}

/** Writes a string, and waits for a slow reader, so that output does not accumulate in memory. */
async function written(text: string): Promise<void> {
  if (process.stdout.write(text)) return
  await new Promise((resolve) => process.stdout.once('drain', resolve))
}

function addBackfillList(backfill: Command): void {
  addList(backfill, {
    noun: 'backfills',
    description: 'Lists backfills, newest first. Changes nothing.',
    examples: ['piko backfills list', 'piko backfills list --state running --json'],
    columns,
    find: ({ job, state, limit }: ListOptions, globals) =>
      withApp(globals, (app) =>
        app.backfills.list({ limit, ...(job !== undefined && { jobId: job }), ...(state && { state }) }),
      ),
    data: dataOf,
  })
    .option('--job <id>', 'only backfills of this job')
    .addOption(new Option('--state <state>', 'only backfills in this state').choices(BACKFILL_STATES))
    .option('--limit <count>', 'maximum number of backfills to show', parseLimit, 100)
}

function addShow(backfill: Command): void {
  backfill
    .command('show')
    .description('Shows a backfill with its progress, its rate and its estimated end.')
    .argument('<backfill>', 'number of the backfill', parseBackfillId)
    .option('--follow', 'show the progress until the backfill has ended')
    .addHelpText('after', examples(['piko backfills show 3', 'piko backfills show 3 --follow']))
    .action((id: number, { follow }: { follow?: boolean }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => report(app, id, json, follow)),
    )
}

function addChange(backfill: Command, name: 'pause' | 'resume' | 'cancel', description: string): void {
  backfill
    .command(name)
    .description(description)
    .argument('<backfill>', 'number of the backfill', parseBackfillId)
    .addHelpText('after', examples([`piko backfills ${name} 3`, `piko backfills ${name} 3 --json`]))
    .action((id: number, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const status = await app.backfills[name](id)
        const zone = (await jobZone(app, status.jobId)) ?? 'UTC'
        printResult(json, dataOf(status), () => textOf(status, zone))
      }),
    )
}

/**
 * Prints a backfill: immediately, or with `follow` when it has ended.
 *
 * @throws PikoError `RUN_FAILED` if a followed backfill has not succeeded
 */
async function report(app: Piko, id: number, json: boolean, follow = false): Promise<void> {
  const status = follow
    ? await followed<BackfillStatus>(
        { what: `backfill ${id}`, show: `piko backfills show ${id}`, json },
        (options) => app.backfills.wait(id, options),
        ({ state }) => (state === 'running' ? undefined : state),
      )
    : await app.backfills.show(id)
  const zone = (await jobZone(app, status.jobId)) ?? 'UTC'
  printResult(json, dataOf(status), () => textOf(status, zone))
  if (follow && status.state !== 'succeeded') {
    throw new PikoError(
      'RUN_FAILED',
      `backfill ${status.id} ${status.state}: ${status.failed} ${status.failed === 1 ? 'window' : 'windows'} failed`,
      {
        details: { backfillId: status.id, state: status.state, failed: status.failed },
      },
    )
  }
}

function dataOf(status: BackfillStatus): object {
  const { config, finishedAt, ratePerSecond, etaMs, ...rest } = status
  return {
    ...rest,
    config: config ?? null,
    ratePerSecond: ratePerSecond ?? null,
    etaMs: etaMs ?? null,
    finishedAt: finishedAt ?? null,
  }
}

function textOf(status: BackfillStatus, zone: string): string {
  const style = styleFor(process.stdout)
  const { queued, running, succeeded, failed, cancelled, passed } = status
  const counts = Object.entries({ succeeded, failed, cancelled, running, queued, 'left unchanged': passed })
  const lines: [string, string | undefined][] = [
    ['backfill', String(status.id)],
    ['job', visibleLine(status.jobId)],
    ['state', colourOf(style, status.state)(status.state)],
    ['range', rangeText({ start: status.from, end: status.to }, zone)],
    ['windows', `${status.only}, ${status.order} first, ${status.parallel} at a time`],
    ['done', `${status.done} of ${status.total}`],
    ['runs', counts.flatMap(([name, count]) => (count > 0 ? `${count} ${name}` : [])).join(', ') || undefined],
    ['rate', status.ratePerSecond === undefined ? undefined : `${status.ratePerSecond.toFixed(1)} windows/s`],
    ['left', status.etaMs === undefined ? undefined : formatMs(status.etaMs)],
    ['finished', status.finishedAt && instantText(status.finishedAt)],
  ]
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)} ${value}`])).join('\n')
}

function columns(): Column<BackfillStatus>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'backfill', cell: ({ id }) => String(id) },
    { title: 'job', cell: ({ jobId }) => jobId },
    { title: 'from', cell: ({ from }) => instantText(from) },
    { title: 'to', cell: ({ to }) => instantText(to) },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => colourOf(style, state)(text) },
    { title: 'done', cell: ({ done, total }) => `${done}/${total}` },
    { title: 'failed', cell: ({ failed }) => String(failed) },
    { title: 'left', cell: ({ etaMs }) => (etaMs === undefined ? '-' : formatMs(etaMs)) },
  ]
}

function colourOf({ green, red, yellow, cyan, gray }: Style, state: BackfillState): (text: string) => string {
  return { running: cyan, paused: yellow, cancelling: yellow, cancelled: gray, succeeded: green, failed: red }[state]
}

function parseCount(text: string): number {
  const count = Number(text)
  if (Number.isSafeInteger(count) && count > 0) return count
  throw new InvalidArgumentError('expected a whole number above 0')
}
