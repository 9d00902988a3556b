import { visibleLine } from '../../visible.ts'
import { type Command, Option } from 'commander'
import { type Piko } from '../../app/piko.ts'
import { PikoError } from '../../errors.ts'
import { type LedgerSpan } from '../../store/windows/ledger-spans.ts'
import { type LedgerSummary, type LedgerWindow, type WindowFilter } from '../../store/windows/window-store.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { runStateColour } from '../output/run-state-colour.ts'
import { styleFor } from '../output/style.ts'
import { type Column, table } from '../output/table.ts'
import { withApp } from '../with-app.ts'

const HOLES = ['failed', 'stale', 'skipped', 'cancelled', 'waiting', 'pending'] as const
const STATES = ['succeeded', ...HOLES] as const

interface WindowsOptions {
  readonly state?: NonNullable<WindowFilter['state']>
  readonly from?: Date
  readonly to?: Date
  readonly coverage?: boolean
  readonly limit: number
}

export function addWindows(program: Command): void {
  program
    .command('windows')
    .summary("show a job's windows")
    .description(
      "Shows a job's ledger: the number of windows in each state, the watermark (the end of the unbroken succeeded " +
        'prefix) and where it begins, the first hole, the spans that never ran, and each window, oldest first. Changes nothing.',
    )
    .argument('<job>', 'id of a job with windows')
    .addOption(new Option('--state <state>', 'only windows in this state').choices(STATES))
    .option('--from <instant>', 'only windows that start at or after this instant', parseInstant)
    .option('--to <instant>', 'only windows that start before this instant', parseInstant)
    .option('--coverage', 'show spans of windows in the same state, and missing spans, instead of single windows')
    .option('--limit <count>', 'maximum number of windows or spans to show', parseLimit, 100)
    .addHelpText(
      'after',
      examples([
        'piko windows sync_orders',
        'piko windows sync_orders --state failed --limit 10',
        'piko windows sync_orders --coverage --from 2026-01-01T00:00:00Z',
        'piko windows sync_orders --json | jq .watermark',
      ]),
    )
    .action((jobId: string, options: WindowsOptions, command: Command) =>
      windows(jobId, options, globalOptions(command)),
    )
}

function windows(jobId: string, options: WindowsOptions, globals: GlobalOptions): Promise<void> {
  return withApp(globals, async (app, json) => {
    await requireWindows(app, jobId)
    const { coverage, ...filter } = options
    if (coverage) {
      if (filter.state) throw new PikoError('USAGE', '--coverage has spans of every state; leave out --state')
      const spans = await app.windows.coverage(jobId, filter)
      printResult(json, { job: jobId, coverage: spans }, () =>
        spans.length === 0 ? `${visibleLine(jobId)}: no windows yet` : table(spanColumns(), spans),
      )
      return
    }
    const ledger = await app.windows.summary(jobId)
    const firstHole = await findFirstHole(app, jobId)
    const shown = await app.windows.list(jobId, filter)
    printResult(json, dataOf(ledger, firstHole, shown), () => textOf(ledger, firstHole, shown, filter.state))
  })
}

async function requireWindows(app: Piko, jobId: string): Promise<void> {
  const jobs = await app.jobs.list()
  const job = jobs.find(({ id }) => id === jobId)
  const details = { jobId, location: app.storeLocation }
  if (!job) {
    const ids = jobs.filter((row) => row.windows !== null).map(({ id }) => id)
    const known =
      ids.length > 0 ? `jobs with windows are ${ids.join(', ')}` : 'it knows jobs once a node has started with them'
    throw new PikoError('JOB_UNKNOWN', `the database knows no job "${jobId}"; ${known}`, { details })
  }
  if (job.windows === null) {
    throw new PikoError('WINDOW_UNKNOWN', `job "${jobId}" has no windows; its option windows adds them`, {
      details,
    })
  }
}

async function findFirstHole(app: Piko, jobId: string): Promise<LedgerWindow | undefined> {
  const firsts = await Promise.all(HOLES.map((state) => app.windows.list(jobId, { state, limit: 1 })))
  return firsts.flat().sort((a, b) => a.start.getTime() - b.start.getTime())[0]
}

function dataOf(ledger: LedgerSummary, firstHole: LedgerWindow | undefined, shown: readonly LedgerWindow[]): object {
  return {
    job: ledger.jobId,
    counts: ledger.counts,
    start: ledger.start ?? null,
    watermark: ledger.watermark ?? null,
    unrun: ledger.unrun,
    end: ledger.end ?? null,
    firstHole: firstHole ? { start: firstHole.start, end: firstHole.end, state: firstHole.state } : null,
    windows: shown.map(({ start, end, state, runId, attempt, error, waitsFor }) => ({
      start,
      end,
      state,
      runId: runId ?? null,
      attempt: attempt ?? null,
      error: error ?? null,
      waitsFor: waitsFor ?? null,
    })),
  }
}

function textOf(
  ledger: LedgerSummary,
  firstHole: LedgerWindow | undefined,
  shown: readonly LedgerWindow[],
  state: WindowsOptions['state'],
): string {
  const summary = summaryOf(ledger, firstHole)
  if (shown.length === 0) return summary
  const more = total(ledger, state) - shown.length
  return `${summary}\n\n${table(columns(), shown)}${more > 0 ? `\n… and ${more} more; --limit shows them` : ''}`
}

/** The number of windows in one state, or in all. */
function total({ counts }: LedgerSummary, state?: WindowsOptions['state']): number {
  return state ? counts[state] : STATES.reduce((sum, each) => sum + counts[each], 0)
}

function summaryOf(ledger: LedgerSummary, firstHole: LedgerWindow | undefined): string {
  const { jobId, counts } = ledger
  const all = total(ledger)
  if (all === 0) return [`${visibleLine(jobId)}: no windows yet`, ...unrunText(ledger)].join('; ')
  const parts = STATES.filter((state) => counts[state] > 0).map((state) => `${counts[state]} ${state}`)
  const hole = firstHole ? [`first hole ${instantText(firstHole.start)} (${firstHole.state})`] : []
  const none = hole.length + ledger.unrun.length === 0 ? ['no hole'] : []
  const count = `${visibleLine(jobId)}: ${all} ${all === 1 ? 'window' : 'windows'} (${parts.join(', ')})`
  return [count, watermarkText(ledger), ...hole, ...unrunText(ledger), ...none].join('; ')
}

function watermarkText({ start, watermark, unrun }: LedgerSummary): string {
  if (!watermark) return `no watermark yet: it begins at ${instantText(start)}, but no window exists from then on`
  const begins = unrun.length > 0 ? ` (it begins at ${instantText(start)})` : ''
  return `watermark ${instantText(watermark)}${begins}`
}

const MAX_STRETCHES = 3

function unrunText({ unrun }: LedgerSummary): string[] {
  if (unrun.length === 0) return []
  const shown = unrun.slice(0, MAX_STRETCHES).map(({ start, end }) => `${instantText(start)} to ${instantText(end)}`)
  const more = unrun.length > shown.length ? ` and ${unrun.length - shown.length} more` : ''
  return [`never run: ${shown.join(', ')}${more}; --coverage shows all`]
}

function spanColumns(): Column<LedgerSpan>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'from', cell: ({ start }) => instantText(start) },
    { title: 'to', cell: ({ end }) => instantText(end) },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => runStateColour(style, state)(text) },
    { title: 'windows', cell: ({ windows: count }) => String(count) },
  ]
}

function columns(): Column<LedgerWindow>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'start', cell: ({ start }) => instantText(start) },
    { title: 'end', cell: ({ end }) => instantText(end) },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => runStateColour(style, state)(text) },
    { title: 'run', cell: ({ runId }) => (runId === undefined ? '-' : String(runId)) },
    { title: 'attempt', cell: ({ attempt }) => (attempt === undefined ? '-' : String(attempt)) },
    { title: 'why', cell: whyOf },
  ]
}

function whyOf({ error, waitsFor, state }: LedgerWindow): string {
  if (waitsFor) return `waits for ${waitsFor.jobId} from ${instantText(waitsFor.at)}`
  return state === 'stale' ? 'a window that it depends on ran again' : (error ?? '')
}
