import { visibleLine } from '../../visible.ts'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { PikoError } from '../../errors.ts'
import { durationMs } from '../../time/duration.ts'
import { momentOf } from '../../time/local-dates.ts'
import { type Preview, previewOf, type PreviewTick } from '../../time/preview.ts'
import type { ScheduleSpec } from '../../time/schedule.ts'
import { storedSchedule } from '../../time/stored-schedule.ts'
import { cliJobs, cliJobsIfAny, jobsOption } from '../cli-jobs.ts'
import { cliSettings, readOnly } from '../cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import type { ScheduleStatus } from '../../operations/schedules.ts'
import { parseJson } from '../parse/parse-json.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { scheduleText } from '../output/schedule-text.ts'
import { storedJob, zoneOfSchedule } from '../../engine/planning/stored-job.ts'
import { type Column, table } from '../output/table.ts'
import { withApp, withAppOn } from '../with-app.ts'
import type { JobRow } from '../../store/jobs/job-row.ts'
import { remoteTarget } from '../remote/target.ts'

/** The instant to which a fixed interval of a job without windows is aligned. */
const EPOCH = new Date(0).toISOString()

interface ScheduleOptions {
  readonly cron?: readonly string[]
  readonly every?: string
  readonly at?: string
  readonly timezone?: string
  readonly dstGap?: 'skip' | 'after'
  readonly dstOverlap?: 'first' | 'second' | 'both'
  readonly start?: string
  readonly end?: string
  readonly schedule?: ScheduleSpec
}

interface ListOptions {
  readonly overridden?: true
  readonly limit?: number
  readonly after?: string
}

interface PreviewOptions extends ScheduleOptions {
  readonly jobs?: string[]
  readonly from?: Date | string
  readonly code?: boolean
  readonly count: number
}

const LIST_COLUMNS: readonly Column<ScheduleStatus>[] = [
  { title: 'job', cell: ({ jobId }) => visibleLine(jobId) },
  { title: 'schedule', cell: ({ schedule }) => scheduleText(schedule ?? undefined) },
  { title: 'from', cell: ({ isOverridden }) => (isOverridden ? 'override' : 'code') },
  { title: 'next tick', cell: ({ nextTick, isPaused }) => (isPaused ? 'paused' : instantText(nextTick)) },
]

export function addSchedule(program: Command): void {
  const schedule = program
    .command('schedules')
    .alias('schedule')
    .summary('show schedules and override them at run time')
    .description('Shows the schedules of jobs. Overrides a schedule declared in code, without a deploy.')
    .addHelpText(
      'after',
      examples([
        "piko schedules preview --cron '30 2 * * *' --timezone America/New_York",
        "piko schedules set report --cron '0 6 * * 1-5' --timezone Europe/Rome",
        'piko schedules clear report',
      ]),
    )
  addList(schedule, {
    noun: 'schedules',
    description: 'Lists the schedules of all jobs that the database knows, by job. Changes nothing.',
    examples: ['piko schedules list', "piko schedules list --overridden --json | jq '.schedules[].jobId'"],
    columns: () => LIST_COLUMNS,
    find: ({ overridden, ...options }: ListOptions, globals) =>
      withApp(globals, (app) =>
        app.schedules.list({ ...options, ...(overridden !== undefined && { isOverridden: overridden }) }),
      ),
  })
    .option('--overridden', 'only schedules that were set at run time')
    .option('--limit <count>', 'maximum number of schedules to list; default: all', parseLimit)
    .option('--after <job>', 'only jobs with larger ids, for the next page')
  addSet(schedule)
  addClear(schedule)
  withScheduleOptions(schedule.command('preview'), 'instead of a job: ')
    .description(
      'Shows the next ticks of a job, or of a schedule given on the command line, in UTC and in local time. Marks clock changes, ' +
        'and shows the windows that are due at the ticks. A schedule set at run time takes precedence over the one in the code. ' +
        'Changes nothing.',
    )
    .argument('[job]', 'id of a job')
    .option('--code', 'for a job: show the schedule in the code, without reading the database')
    .option('--from <instant>', 'show ticks at or after this instant or date; default: now', parseMoment)
    .option('--count <count>', 'maximum number of ticks to show', parseLimit, 10)
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko schedules preview sync_orders --count 3',
        "piko schedules preview --cron '30 2 * * *' --timezone America/New_York --from 2026-03-07T00:00:00Z --count 3",
        "piko schedules preview --cron '30 1 * * *' --timezone Europe/Rome --dst-overlap both --json | jq .ticks",
      ]),
    )
    .action((jobId: string | undefined, options: PreviewOptions, command: Command) =>
      preview(jobId, options, globalOptions(command)),
    )
}

/** Adds the options that describe a schedule. @param note a prefix for the help texts that says when these options apply */
function withScheduleOptions(command: Command, note: string): Command {
  return command
    .option('--cron <expression>', `${note}a cron expression; may be repeated`, (text: string, all: string[] = []) => [
      ...all,
      text,
    ])
    .option('--every <duration>', `${note}a fixed interval, such as 10s or 1h30m`)
    .option('--at <instant>', `${note}a single instant, such as 2026-01-01T00:00:00Z`)
    .option('--timezone <zone>', 'IANA time zone; default: UTC')
    .addOption(
      new Option(
        '--dst-gap <policy>',
        'for local times that do not exist because clocks go forward: skip them, or fire after the gap',
      ).choices(['skip', 'after']),
    )
    .addOption(
      new Option(
        '--dst-overlap <policy>',
        'for local times that occur twice because clocks go back: fire at the first, the second, or both',
      ).choices(['first', 'second', 'both']),
    )
    .option('--start <instant>', 'no ticks before this instant')
    .option('--end <instant>', 'no ticks after this instant')
    .option(
      '--schedule <json>',
      'the whole schedule as JSON, as in the HTTP API; needed for settings without an option, such as a calendar',
      parseSchedule,
    )
}

/**
 * Parses a schedule that is given as JSON.
 *
 * @throws InvalidArgumentError if the text is not a JSON object
 * @throws PikoError `SCHEDULE_INVALID`
 */
function parseSchedule(text: string): ScheduleSpec {
  const value = parseJson(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidArgumentError(
      'expected a JSON object, such as \'{"kind":"cron","cron":"0 6 * * *","timezone":"UTC"}\'',
    )
  // This check throws the same errors as for a schedule in the database.
  storedSchedule(text)
  return value as ScheduleSpec
}

function addSet(schedule: Command): void {
  withScheduleOptions(schedule.command('set'), '')
    .description(
      'Overrides the schedule declared in code, or adds one if the code declares none. Takes effect on all nodes within one poll ' +
        'and survives deploys. New windows of the job continue where the old ones end.',
    )
    .argument('<job>', 'id of the job')
    .option('--none', 'no schedule: the job runs only on request')
    .addHelpText(
      'after',
      examples([
        "piko schedules set report --cron '0 6 * * 1-5' --timezone Europe/Rome",
        'piko schedules set report --every 10m',
        'piko schedules set report --none',
        `piko schedules set report --schedule '{"kind":"cron","cron":"0 6 * * *","timezone":"UTC","exclude":{"weekdays":["sun"]}}'`,
      ]),
    )
    .action((jobId: string, { none, ...options }: ScheduleOptions & { none?: boolean }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const written = writtenSchedule(options, 'set')
        if ((written === undefined) === (none === undefined)) {
          throw usage('no schedule given; write --cron, --every, --at, --schedule or --none', 'set')
        }
        await app.schedules.set(jobId, written ? anchored(written, await app.jobs.show(jobId)) : null)
        await printJob(app, jobId, json)
      }),
    )
}

/** Aligns a fixed rate to the start of the first window, as for a schedule in code. */
function anchored(schedule: ScheduleSpec, row: JobRow): ScheduleSpec {
  if (schedule.kind !== 'every' || row.windows === null || schedule.anchor !== EPOCH) return schedule
  const { start } = JSON.parse(row.windows) as { start: string }
  return { ...schedule, anchor: start }
}

function addClear(schedule: Command): void {
  schedule
    .command('clear')
    .description('Removes the override: the schedule declared in code applies again.')
    .argument('<job>', 'id of the job')
    .addHelpText('after', examples(['piko schedules clear report', 'piko schedules clear report --json']))
    .action((jobId: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        await app.schedules.clear(jobId)
        await printJob(app, jobId, json)
      }),
    )
}

async function printJob(app: Piko, jobId: string, json: boolean): Promise<void> {
  const { schedule } = storedJob(await app.jobs.show(jobId))
  printResult(
    json,
    { jobId, schedule },
    () => `${visibleLine(jobId)}: ${visibleLine(scheduleText(schedule ?? undefined))}`,
  )
}

async function preview(jobId: string | undefined, options: PreviewOptions, globals: GlobalOptions): Promise<void> {
  const from = options.from ?? new Date()
  const written = writtenSchedule(options)
  if (jobId !== undefined && written)
    throw usage('a job already has a schedule: leave out either the job or the options')
  if (jobId === undefined && !written) throw usage('nothing to show: name a job, or write --cron, --every or --at')
  const found = written
    ? previewOf(written, momentOf('--from', from, zoneOfSchedule(written)), options.count)
    : await jobPreview(jobId ?? '', from, options, globals)
  printResult(globals.json, dataOf(found), () => textOf(found))
}

/** Returns the schedule that the options describe, or undefined without such options. */
function writtenSchedule(options: ScheduleOptions, command = 'preview'): ScheduleSpec | undefined {
  const { cron, every, at, timezone, dstGap, dstOverlap, start, end, schedule } = options
  const kinds = [cron, every, at].filter((kind) => kind !== undefined).length
  const others = [timezone, dstGap, dstOverlap, start, end].some((option) => option !== undefined)
  if (schedule !== undefined) {
    if (kinds > 0 || others) throw usage('--schedule has the whole schedule: leave out the other options', command)
    return schedule
  }
  if (kinds === 0 && !others) return undefined
  if (kinds !== 1) throw usage('a schedule has exactly one of --cron, --every and --at', command)
  const bounds = { ...(start !== undefined && { start }), ...(end !== undefined && { end }) }
  if (cron) {
    const dst = { ...(dstGap && { gap: dstGap }), ...(dstOverlap && { overlap: dstOverlap }) }
    return { kind: 'cron', cron, timezone: timezone ?? 'UTC', dst, ...bounds }
  }
  if (dstGap ?? dstOverlap) throw usage('--dst-gap and --dst-overlap have no effect without --cron', command)
  if (at !== undefined) {
    if (timezone ?? start ?? end) throw usage('--timezone, --start and --end have no effect with --at', command)
    return { kind: 'at', at }
  }
  return {
    kind: 'every',
    everyMs: durationMs(every ?? '', '--every'),
    anchor: EPOCH,
    ...(timezone !== undefined && { timezone }),
    ...bounds,
  }
}

async function jobPreview(
  jobId: string,
  from: Date | string,
  { jobs, count, code }: PreviewOptions,
  globals: GlobalOptions,
): Promise<Preview> {
  const settings = cliSettings(globals)
  if (!code) {
    // If the folder has no job files, as on an operator's machine, the schedule comes from the database.
    const known = await cliJobsIfAny(settings, jobs)
    if (!remoteTarget.isSet) known?.get(jobId)
    return withAppOn(readOnly(settings), (app) => app.schedules.preview(jobId, { from, count }), [...(known ?? [])])
  }
  const { schedule, windows } = (await cliJobs(settings, jobs)).get(jobId).policy
  if (!schedule) return { ticks: [], windows: [] }
  return previewOf(schedule, momentOf('--from', from, zoneOfSchedule(schedule)), count, windows ?? 'none', jobId)
}

function dataOf({ ticks, windows }: Preview): object {
  return {
    ticks: ticks.map((tick) => ({ ...tick, at: instantText(tick.at) })),
    windows: windows.map(({ start, end, due }) => ({
      ...{ start: instantText(start), end: instantText(end), due: instantText(due) },
    })),
  }
}

function textOf({ ticks, windows }: Preview): string {
  if (ticks.length === 0) return 'no ticks'
  const byTick = Map.groupBy(windows, ({ due }) => due.getTime())
  const columns: Column<PreviewTick>[] = [
    { title: 'tick', cell: ({ at }) => instantText(at) },
    { title: 'local', cell: ({ local, offset }) => `${local.replace('T', ' ')} ${offset}` },
    { title: 'clocks', cell: ({ transition }) => transition ?? '' },
  ]
  const start: Column<PreviewTick> = {
    title: 'window from',
    cell: ({ at }) => instantText(byTick.get(at.getTime())?.[0]?.start),
  }
  const end: Column<PreviewTick> = {
    title: 'window to',
    cell: ({ at }) => instantText(byTick.get(at.getTime())?.at(-1)?.end),
  }
  // A window ends at its tick, unless the job has a grid or a delay. In that case, the ends are shown in their own column.
  const isApart = windows.some(({ end: last, due }) => last.getTime() !== due.getTime())
  return table(windows.length === 0 ? columns : [...columns, start, ...(isApart ? [end] : [])], ticks)
}

function usage(problem: string, subcommand = 'preview'): PikoError {
  const command = `piko schedules ${subcommand}`
  return new PikoError('USAGE', `${problem}; see: ${command} --help`, { details: { command } })
}
