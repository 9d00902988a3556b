import { visibleLine } from '../../visible.ts'
import { type Command, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { PikoError } from '../../errors.ts'
import type { ListedRun } from '../../operations/runs/runs.ts'
import { progressText } from '../../run/progress.ts'
import { type Run, RUN_KINDS, RUN_STATES, type RunKind, type RunState } from '../../run/run.ts'
import type { CancelFilter } from '../../store/runs/cancel-store.ts'
import type { ReplayFilter } from '../../store/runs/replay-store.ts'
import { addList } from '../list-command.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { parseRunId } from '../parse/parse-id.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { runStateColour } from '../output/run-state-colour.ts'
import { durationText, runData } from '../output/run-text.ts'
import { addRunLogs } from './runs-logs.ts'
import { progressData } from './progress-data.ts'
import { addRunsSummary } from './runs-summary.ts'
import { addRunsTimeline } from './runs-timeline.ts'
import { addRunsPrune } from './runs-prune.ts'
import { addShow } from './runs-show.ts'
import { stepsForgotten } from './steps-text.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp } from '../with-app.ts'

interface ListOptions {
  readonly job?: string
  readonly state?: RunState
  readonly kind?: RunKind
  readonly from?: Date
  readonly to?: Date
  readonly error?: string
  readonly before?: number
  readonly limit: number
}

interface CancelOptions {
  readonly job?: string
  readonly state?: NonNullable<CancelFilter['state']>
  readonly dryRun?: boolean
}

interface ReplayOptions {
  readonly job?: string
  readonly state?: NonNullable<ReplayFilter['state']>
  readonly since?: Date
  readonly until?: Date
  readonly error?: string
  readonly from?: string
  readonly dryRun?: boolean
}

export function addRuns(program: Command): void {
  const runs = program
    .command('runs')
    .summary('list runs, cancel, replay and delete them')
    .description('Lists runs, cancels and deletes them, and puts failed ones back into the queue.')
  runs.addHelpText('after', examples(['piko runs list', 'piko runs show 17', 'piko runs cancel 17']))
  addRunList(runs)
  addShow(runs)
  addCancel(runs)
  addReplay(runs)
  addRunLogs(runs)
  addRunsPrune(runs)
  addRunsSummary(runs)
  addRunsTimeline(runs)
}

function addRunList(runs: Command): void {
  addList(runs, {
    noun: 'runs',
    description: 'Lists runs, newest first. Changes nothing.',
    examples: [
      'piko runs list',
      'piko runs list --job sync_orders --state failed --limit 10',
      "piko runs list --state running --json | jq '.runs[].id'",
    ],
    columns: runColumns,
    find: ({ job, ...filter }: ListOptions, globals) =>
      withApp(globals, (app) => app.runs.list({ ...filter, ...(job !== undefined && { jobId: job }) })),
    data: (run) => ({ ...runData(run), progress: progressData(run.progress) }),
  })
    .option('--job <id>', 'only runs of this job')
    .addOption(new Option('--state <state>', 'only runs in this state').choices(RUN_STATES))
    .addOption(new Option('--kind <kind>', 'only runs of this kind').choices(RUN_KINDS))
    .option('--from <instant>', 'only runs requested at or after this instant', parseInstant)
    .option('--to <instant>', 'only runs requested before this instant', parseInstant)
    .option('--error <text>', 'only runs whose last error contains this text')
    .option('--before <run>', 'only runs with smaller numbers, which are older', parseRunId)
    .option('--limit <count>', 'maximum number of runs to show', parseLimit, 100)
}

function addCancel(runs: Command): void {
  runs
    .command('cancel')
    .description(
      'Cancels runs on any node. A queued run ends immediately; the node of a running one ends it within two seconds. ' +
        'Cancelled runs are not retried. Runs that have ended are not changed.',
    )
    .argument('[run...]', 'run numbers', parseRunIds)
    .option('--job <id>', 'all runs of this job that have not ended')
    .addOption(new Option('--state <state>', 'with --job: only runs in this state').choices(['queued', 'running']))
    .option('--dry-run', 'only show how many runs it would cancel')
    .addHelpText(
      'after',
      examples([
        'piko runs cancel 17 18',
        'piko runs cancel --job sync_orders --dry-run',
        'piko runs cancel --job sync_orders --state queued --json',
      ]),
    )
    .action((runIds: number[], options: CancelOptions, command: Command) => {
      assertChosen(runIds, options.job, 'cancel')
      return withApp(globalOptions(command), (app, json) =>
        runIds.length > 0 && !options.dryRun ? cancelEach(app, runIds, json) : cancelAll(app, runIds, options, json),
      )
    })
}

async function cancelEach(app: Piko, runIds: readonly number[], json: boolean): Promise<void> {
  // Checks all numbers first, so that an unknown one fails before any run is cancelled.
  for (const runId of runIds) await app.runs.show(runId)
  const ended: Run[] = []
  for (const runId of runIds) ended.push(await app.runs.cancel(runId))
  const data = ended.map((run) => ({ id: run.id, jobId: run.jobId, state: run.state, result: cancelOutcome(run) }))
  printResult(json, { runs: data }, () => ended.map(cancelText).join('\n'))
}

function cancelOutcome({ state }: Run): 'cancelled' | 'requested' | 'unchanged' {
  return state === 'cancelled' ? 'cancelled' : state === 'running' ? 'requested' : 'unchanged'
}

function cancelText(run: Run): string {
  const name = `run ${run.id} of ${visibleLine(run.jobId)}`
  switch (cancelOutcome(run)) {
    case 'cancelled':
      return `${name} is cancelled`
    case 'requested':
      return `${name} is being cancelled: its node ends it within two seconds`
    case 'unchanged':
      return `${name} has already ended, as ${run.state}; it is not changed`
  }
}

async function cancelAll(app: Piko, runIds: readonly number[], options: CancelOptions, json: boolean): Promise<void> {
  const { job, state, dryRun = false } = options
  for (const runId of runIds) await app.runs.show(runId)
  const result = await app.runs.cancel({
    dryRun,
    ...(job === undefined ? { ids: runIds } : { jobId: job }),
    ...(state && { state }),
  })
  const { cancelled, requested } = result
  const whose = job === undefined ? '' : `${visibleLine(job)}: `
  const [ended, marked] = dryRun
    ? ['would be cancelled', 'would be cancelled by their nodes']
    : ['cancelled', 'being cancelled by their nodes']
  printResult(json, { ...(job !== undefined && { job }), dryRun, ...result }, () =>
    cancelled + requested === 0
      ? `${whose}no ${state ?? 'queued or running'} runs`
      : `${whose}${cancelled} queued ${ended}, ${requested} running ${marked}`,
  )
}

function addReplay(runs: Command): void {
  runs
    .command('replay')
    .description(
      'Puts failed or cancelled runs back into the queue, as if they had never run; their windows are pending again. ' +
        'A run is not replayed if another run has since executed its window.',
    )
    .argument('[run...]', 'run numbers', parseRunIds)
    .option('--job <id>', 'the failed runs of this job, or those in --state')
    .addOption(
      new Option('--state <state>', 'with --job: runs in this state; default: failed').choices(['failed', 'cancelled']),
    )
    .option('--since <instant>', 'only runs that ended at or after this instant', parseInstant)
    .option('--until <instant>', 'only runs that ended before this instant', parseInstant)
    .option('--error <text>', 'only runs whose error contains this text')
    .option('--from <step>', 'forget the results of this step and of steps that finished after it; default: keep all')
    .option('--dry-run', 'only show how many runs it would queue')
    .addHelpText(
      'after',
      examples([
        'piko runs replay 17 18',
        'piko runs replay 17 --from load',
        'piko runs replay --job sync_orders --dry-run',
        'piko runs replay --job sync_orders --state failed --since 2026-01-01T00:00:00Z',
      ]),
    )
    .action((runIds: number[], options: ReplayOptions, command: Command) => {
      assertChosen(runIds, options.job, 'replay')
      return withApp(globalOptions(command), (app, json) => replay(app, runIds, options, json))
    })
}

async function replay(app: Piko, runIds: readonly number[], options: ReplayOptions, json: boolean): Promise<void> {
  const { job, state, since, until, error, from, dryRun = false } = options
  for (const runId of runIds) await app.runs.show(runId)
  const result = await app.runs.replay({
    dryRun,
    ...(job === undefined ? { ids: runIds } : { jobId: job }),
    ...(state && { state }),
    ...(since && { since }),
    ...(until && { until }),
    ...(error !== undefined && { error }),
    ...(from !== undefined && { from }),
  })
  const { count, superseded, forgotten } = result
  const others = job === undefined ? new Set(runIds).size - count - superseded : 0
  printResult(json, { dryRun, ...result }, () =>
    [
      `${count} ${count === 1 ? 'run' : 'runs'} ${dryRun ? 'would be queued again' : 'queued again'}`,
      ...(forgotten === undefined ? [] : [stepsForgotten(forgotten, dryRun)]),
      ...(superseded > 0 ? [`${superseded} not replayed: a later run has their window`] : []),
      ...(others > 0 ? [`${others} not replayed: only failed and cancelled runs can be`] : []),
    ].join('; '),
  )
}

function assertChosen(runIds: readonly number[], job: string | undefined, command: string): void {
  if (runIds.length > 0 === (job === undefined)) return
  throw new PikoError('USAGE', `give either run numbers or --job; see: piko runs ${command} --help`)
}

function runColumns(runs: readonly ListedRun[]): Column<ListedRun>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'run', cell: ({ id }) => String(id) },
    { title: 'job', cell: ({ jobId }) => jobId },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => runStateColour(style, state)(text) },
    { title: 'attempt', cell: ({ attempt }) => (attempt > 0 ? String(attempt) : '-') },
    { title: 'due', cell: ({ runAt }) => instantText(runAt) },
    { title: 'duration', cell: durationText },
    // The column is shown only if it has values, because most jobs report no progress.
    ...(runs.some(({ progress }) => progress) ? [PROGRESS] : []),
    { title: 'error', cell: ({ error, reason }) => error?.message ?? reason ?? '' },
  ]
}

const PROGRESS: Column<ListedRun> = {
  title: 'progress',
  cell: ({ progress }) => (progress ? progressText(progress) : '-'),
}

function parseRunIds(text: string, others: number[] = []): number[] {
  return [...others, parseRunId(text)]
}
