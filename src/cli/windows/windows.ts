import { visibleLine } from '../../visible.ts'
import { type Command, Option } from 'commander'
import type { Piko } from '../../app/piko.ts'
import type { LedgerSpan } from '../../store/windows/ledger-spans.ts'
import type { LedgerSummary, LedgerWindow, WindowFilter } from '../../store/windows/window-store.ts'
import { examples } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { besideUtc, dateData, localColumns, rangeText } from '../output/local-window.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { runStateColour } from '../output/run-state-colour.ts'
import { styleFor } from '../output/style.ts'
import { type Column, table } from '../output/table.ts'
import { addGrid } from './windows-grid.ts'
import { addWindowChanges } from './windows-change.ts'
import { addProve } from './windows-prove.ts'
import { withWindows } from './with-windows.ts'

const HOLES = ['failed', 'stale', 'skipped', 'cancelled', 'waiting', 'pending'] as const
const STATES = ['succeeded', ...HOLES] as const

interface RangeOptions {
  readonly from?: Date | string
  readonly to?: Date | string
  readonly limit: number
}

interface ListOptions extends RangeOptions {
  readonly state?: NonNullable<WindowFilter['state']>
}

export function addWindows(program: Command): void {
  const windows = program
    .command('windows')
    .summary("show a job's windows, and prove that its ledger and tables are correct")
    .description(
      "Shows a job's ledger: its windows, the time that they cover, and its progress. Proves that the ledger is correct.",
    )
  windows.addHelpText(
    'after',
    examples([
      'piko windows summary sync_orders',
      'piko windows list sync_orders --state failed',
      'piko windows coverage sync_orders',
      'piko windows prove sync_orders',
    ]),
  )
  addWindowList(windows)
  addCoverage(windows)
  addSummary(windows)
  addProve(windows)
  addGrid(windows)
  addWindowChanges(windows)
}

/** Adds `list` as the default command, so `piko windows <job>` also lists windows. */
function addWindowList(windows: Command): void {
  ranged(windows.command('list', { isDefault: true }), 'windows')
    .description("Lists a job's windows, oldest first. Changes nothing.")
    .addOption(new Option('--state <state>', 'only windows in this state').choices(STATES))
    .addHelpText(
      'after',
      examples([
        'piko windows list sync_orders',
        'piko windows list sync_orders --state failed --limit 10',
        "piko windows list sync_orders --json | jq '.windows[].start'",
      ]),
    )
    .action((jobId: string, options: ListOptions, command: Command) =>
      withWindows(jobId, command, async (app, json, zone) => {
        const { limit } = options
        // Reads one window more than it shows, to find out whether there are more.
        const found = await app.windows.list(jobId, { ...options, limit: limit + 1 })
        const shown = found.slice(0, limit)
        const data = shown.map((window) => ({ ...windowData(window), ...dateData(window, zone) }))
        printResult(json, { job: jobId, timezone: zone, windows: data }, () => {
          if (shown.length === 0) return `${visibleLine(jobId)}: no windows`
          return `${table(columns(zone), shown)}${found.length > limit ? '\n… and more; a higher --limit shows them' : ''}`
        })
      }),
    )
}

function addCoverage(windows: Command): void {
  ranged(windows.command('coverage'), 'spans')
    .description(
      "Shows a job's ledger as spans of neighbouring windows in the same state, and the missing spans between them, oldest first. " +
        'Changes nothing.',
    )
    .addHelpText(
      'after',
      examples([
        'piko windows coverage sync_orders',
        'piko windows coverage sync_orders --from 2026-01-01T00:00:00Z',
        'piko windows coverage sync_orders --json | jq \'.coverage[] | select(.state != "succeeded")\'',
      ]),
    )
    .action((jobId: string, options: RangeOptions, command: Command) =>
      withWindows(jobId, command, async (app, json, zone) => {
        const spans = await app.windows.coverage(jobId, options)
        printResult(json, { job: jobId, timezone: zone, coverage: spans }, () =>
          spans.length === 0 ? `${visibleLine(jobId)}: no windows yet` : table(spanColumns(zone), spans),
        )
      }),
    )
}

function addSummary(windows: Command): void {
  windows
    .command('summary')
    .description(
      'Shows how far a job is: the number of windows in each state, the watermark (the end of the unbroken sequence of succeeded ' +
        'windows) and where that sequence begins. Also shows the first window that has not succeeded, and the spans that never ran. ' +
        'Changes nothing.',
    )
    .argument('<job>', 'id of a job with windows')
    .addHelpText(
      'after',
      examples(['piko windows summary sync_orders', 'piko windows summary sync_orders --json | jq .watermark']),
    )
    .action((jobId: string, _options: object, command: Command) =>
      withWindows(jobId, command, async (app, json, zone) => {
        const ledger = await app.windows.summary(jobId)
        const firstHole = await findFirstHole(app, jobId)
        printResult(json, summaryData(ledger, firstHole), () => summaryText(ledger, firstHole, zone))
      }),
    )
}

function ranged(command: Command, things: string): Command {
  return command
    .argument('<job>', 'id of a job with windows')
    .option('--from <instant>', 'only windows that start at or after this instant or date', parseMoment)
    .option('--to <instant>', 'only windows that start before this instant or date', parseMoment)
    .option('--limit <count>', `maximum number of ${things} to show`, parseLimit, 100)
}

async function findFirstHole(app: Piko, jobId: string): Promise<LedgerWindow | undefined> {
  const firsts = await Promise.all(HOLES.map((state) => app.windows.list(jobId, { state, limit: 1 })))
  return firsts.flat().sort((a, b) => a.start.getTime() - b.start.getTime())[0]
}

function summaryData(ledger: LedgerSummary, failed: LedgerWindow | undefined): object {
  const [unrun] = ledger.unrun
  const firstHole = unrun && (!failed || unrun.start < failed.start) ? { ...unrun, state: 'missing' } : failed
  return {
    job: ledger.jobId,
    counts: ledger.counts,
    start: ledger.start ?? null,
    watermark: ledger.watermark ?? null,
    unrun: ledger.unrun,
    end: ledger.end ?? null,
    firstHole: firstHole ? { start: firstHole.start, end: firstHole.end, state: firstHole.state } : null,
  }
}

function windowData({ start, end, state, runId, attempt, error, waitsFor }: LedgerWindow): object {
  return {
    ...{ start, end, state },
    runId: runId ?? null,
    attempt: attempt ?? null,
    error: error ?? null,
    waitsFor: waitsFor ?? null,
  }
}

function summaryText(ledger: LedgerSummary, firstHole: LedgerWindow | undefined, zone: string): string {
  const { jobId, counts } = ledger
  const all = STATES.reduce((sum, state) => sum + counts[state], 0)
  if (all === 0) return [`${visibleLine(jobId)}: no windows yet`, ...unrunText(ledger, zone)].join('; ')
  const parts = STATES.filter((state) => counts[state] > 0).map((state) => `${counts[state]} ${state}`)
  const hole = firstHole ? [`first hole ${besideUtc(firstHole.start, zone)} (${firstHole.state})`] : []
  const none = hole.length + ledger.unrun.length === 0 ? ['no hole'] : []
  const count = `${visibleLine(jobId)}: ${all} ${all === 1 ? 'window' : 'windows'} (${parts.join(', ')})`
  return [count, watermarkText(ledger, zone), ...hole, ...unrunText(ledger, zone), ...none].join('; ')
}

function watermarkText({ start, watermark, unrun }: LedgerSummary, zone: string): string {
  if (!watermark) return `no watermark yet: it begins at ${besideUtc(start, zone)}, but no window exists from then on`
  const begins = unrun.length > 0 ? ` (it begins at ${instantText(start)})` : ''
  return `watermark ${besideUtc(watermark, zone)}${begins}`
}

const MAX_STRETCHES = 3

function unrunText({ unrun }: LedgerSummary, zone: string): string[] {
  if (unrun.length === 0) return []
  const shown = unrun.slice(0, MAX_STRETCHES).map((span) => rangeText(span, zone))
  const more = unrun.length > shown.length ? ` and ${unrun.length - shown.length} more` : ''
  return [`never run: ${shown.join(', ')}${more}; piko windows coverage shows all`]
}

function spanColumns(zone: string): Column<LedgerSpan>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'from', cell: ({ start }) => instantText(start) },
    { title: 'to', cell: ({ end }) => instantText(end) },
    ...localColumns<LedgerSpan>(zone),
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => runStateColour(style, state)(text) },
    { title: 'windows', cell: ({ windows: count }) => String(count) },
  ]
}

function columns(zone: string): Column<LedgerWindow>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'start', cell: ({ start }) => instantText(start) },
    { title: 'end', cell: ({ end }) => instantText(end) },
    ...localColumns<LedgerWindow>(zone),
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
