import type { CrawlLane, CrawlPage, CrawlStatus, StepCounts } from '../../operations/crawls/crawl-status.ts'
import type { TriedPage } from '../../operations/crawls/tried-page.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleBlock, visibleJson, visibleLine } from '../../visible.ts'
import { instantText } from '../output/print-result.ts'
import { type Column, fieldsText, table } from '../output/table.ts'

const BAR = 30
/** The text output of a trial shows at most this many rows and this many requests; `--json` shows more. */
const MAX_SHOWN_ROWS = 10
const MAX_SHOWN_FOLLOWS = 30

export const hostColumns: readonly Column<CrawlLane>[] = [
  { title: 'host', cell: ({ name }) => name },
  { title: 'state', cell: ({ state }) => state },
  { title: 'queued', cell: ({ queued }) => String(queued) },
  { title: 'running', cell: ({ running }) => String(running) },
  { title: 'pages/s', cell: ({ perSecond }) => (perSecond === undefined ? '-' : rounded(perSecond)) },
  { title: '95 %', cell: ({ p95Ms }) => (p95Ms === undefined ? '-' : formatMs(p95Ms)) },
  { title: 'rate', cell: ({ ratePerSecond }) => (ratePerSecond === undefined ? '-' : `${rounded(ratePerSecond)}/s`) },
  { title: 'parallel', cell: ({ parallel }) => (parallel === undefined ? '-' : String(parallel)) },
  { title: 'factor', cell: ({ factor }) => rounded(factor) },
  { title: 'until', cell: ({ openUntil }) => instantText(openUntil) },
]

export const pageColumns: readonly Column<CrawlPage>[] = [
  { title: 'page', cell: ({ id }) => String(id) },
  { title: 'step', cell: ({ step }) => step },
  { title: 'state', cell: ({ state }) => state },
  { title: 'request', cell: ({ request }) => request },
  { title: 'reason', cell: ({ reason = '' }) => reason },
]

export const deadColumns: readonly Column<CrawlPage>[] = [
  { title: 'page', cell: ({ id }) => String(id) },
  { title: 'step', cell: ({ step }) => step },
  { title: 'request', cell: ({ request }) => request },
  { title: 'class', cell: ({ reason = '' }) => reason },
  { title: 'kept', cell: ({ hasKept }) => (hasKept ? 'response' : '-') },
  { title: 'error', cell: ({ error }) => (error ? error.message : '-') },
]

type Step = StepCounts & { readonly name: string }
const stepColumns: readonly Column<Step>[] = [
  { title: 'step', cell: ({ name }) => name },
  { title: 'open', cell: ({ open }) => String(open) },
  { title: 'done', cell: ({ done }) => String(done) },
  { title: 'dead', cell: ({ dead }) => String(dead) },
  { title: 'skipped', cell: ({ skipped }) => String(skipped) },
  { title: 'mean', cell: ({ ms, done }) => (done === 0 ? '-' : formatMs(ms / done)) },
  { title: 'bytes', cell: ({ bytes }) => bytesText(bytes) },
]

const STATUS: readonly Column<CrawlStatus>[] = [
  { title: 'run', cell: ({ runId, jobId, state }) => `${runId} of ${jobId}: ${state}` },
  { title: 'pages', cell: progressText },
  { title: 'open', cell: ({ queued, running }) => `${queued} queued, ${running} running` },
  { title: 'ended', cell: ({ done, dead, cancelled }) => `${done} done, ${dead} dead, ${cancelled} cancelled` },
  { title: 'skipped', cell: ({ skipped }) => reasonsText(skipped) },
  { title: 'bytes', cell: ({ bytes }) => bytesText(bytes) },
  { title: 'speed', cell: ({ perSecond }) => `${rounded(perSecond)} pages/s` },
  { title: 'left', cell: ({ etaMs }) => (etaMs === undefined ? '-' : formatMs(etaMs)) },
]

export function statusText(status: CrawlStatus): string {
  const steps = Object.entries(status.steps).map(([name, counts]): Step => ({ name, ...counts }))
  return [
    fieldsText(STATUS, status),
    ...(steps.length > 0 ? [table(stepColumns, steps)] : []),
    ...(status.lanes.length > 0 ? [table(hostColumns, status.lanes)] : []),
  ].join('\n\n')
}

/** Returns the status in one line, for an output that is not a terminal. */
export function statusLine(status: CrawlStatus): string {
  const { state, queued, running, dead, perSecond, etaMs } = status
  const left = etaMs === undefined ? '' : `, ${formatMs(etaMs)} left`
  return `${state}: ${endedOf(status)} of ${status.total} pages, ${queued} queued, ${running} running, ${dead} dead, ${rounded(perSecond)}/s${left}`
}

function endedOf({ done, dead, total, queued, running, cancelled }: CrawlStatus): number {
  return Math.max(done + dead + cancelled, total - queued - running)
}

function progressText(status: CrawlStatus): string {
  const { total, isSeeded } = status
  const ended = endedOf(status)
  const share = total === 0 ? 0 : Math.min(1, ended / total)
  const full = Math.round(share * BAR)
  const bar = `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`
  return `${bar} ${Math.floor(share * 100)} %, ${ended} of ${total}${isSeeded ? '' : ', and the seeds still add more'}`
}

export function pagesText(columns: readonly Column<CrawlPage>[], pages: readonly CrawlPage[], next?: number): string {
  if (pages.length === 0) return 'no pages'
  const shown = table(columns, pages)
  return next === undefined ? shown : `${shown}\nmore: --after ${next}`
}

export function triedText(page: TriedPage): string {
  return [
    fieldsText(TRIED, page),
    ...(page.error ? [errorText(page)] : []),
    ...Object.entries(page.rows).map(([sink, { count, rows }]) => rowsText(sink, count, rows)),
    followsText(page),
  ].join('\n\n')
}

const TRIED: readonly Column<TriedPage>[] = [
  { title: 'page', cell: ({ request, step, crawl }) => `${request}, step ${step} of ${crawl}` },
  {
    title: 'response',
    cell: ({ answer }) =>
      answer
        ? `${answer.status}, ${answer.type ?? 'no type'}, ${bytesText(answer.bytes)} in ${formatMs(answer.ms)}${answer.isCached ? ', cached' : ''}`
        : 'none',
  },
  { title: 'from', cell: ({ answer }) => answer?.url ?? '-' },
  { title: 'end', cell: endText },
  { title: 'took', cell: ({ ms }) => formatMs(ms) },
]

function endText({ outcome, reason, class: name, againInMs }: TriedPage): string {
  const again = againInMs === undefined ? 'it would be dead' : `it would be tried again in ${formatMs(againInMs)}`
  switch (outcome) {
    case 'done':
      return 'done'
    case 'skipped':
      return `skipped: ${reason ?? ''}`
    case 'later':
      return `again in ${formatMs(againInMs ?? 0)}`
    case 'failed':
      return `failed, class ${name ?? ''}: ${again}`
  }
}

function errorText({ error }: TriedPage): string {
  const place = error?.place === undefined ? '' : `\n  at ${visibleLine(error.place)}`
  return `${visibleLine(error?.name ?? '')}: ${visibleBlock(error?.message ?? '', '  ')}${place}`
}

function rowsText(sink: string, count: number, rows: readonly unknown[]): string {
  const shown = rows.slice(0, MAX_SHOWN_ROWS).map((row) => `  ${jsonOf(row)}`)
  const more = count > shown.length ? [`  and ${count - shown.length} more`] : []
  return [`${count} ${count === 1 ? 'row' : 'rows'} for sink ${visibleLine(sink)}`, ...shown, ...more].join('\n')
}

/** Returns a row as JSON. A row with values that JSON can't represent is returned in another form. */
function jsonOf(row: unknown): string {
  try {
    return visibleJson(row ?? null)
  } catch {
    return visibleLine(String(row))
  }
}

function followsText({ follows, followed }: TriedPage): string {
  const left = follows.filter(({ left: why }) => why !== undefined).length
  const head = `${followed} ${followed === 1 ? 'request' : 'requests'} followed${left > 0 ? `, ${left} left out` : ''}`
  if (follows.length === 0) return head
  const shown = follows.slice(0, MAX_SHOWN_FOLLOWS)
  const more = followed > shown.length ? `\nand ${followed - shown.length} more` : ''
  const columns: readonly Column<TriedPage['follows'][number]>[] = [
    { title: 'step', cell: ({ step }) => step },
    { title: 'request', cell: ({ request }) => request },
    { title: 'left out', cell: ({ left: why = '' }) => why },
  ]
  return `${head}\n${table(columns, shown)}${more}`
}

function reasonsText(skipped: Readonly<Record<string, number>>): string {
  const reasons = Object.entries(skipped).map(([reason, count]) => `${count} ${reason}`)
  return reasons.length === 0 ? '0' : reasons.join(', ')
}

function bytesText(bytes: number): string {
  const [unit, size] = [['GB', 1e9] as const, ['MB', 1e6] as const, ['kB', 1e3] as const].find(
    ([, one]) => bytes >= one,
  ) ?? ['B', 1]
  return `${rounded(bytes / size)} ${unit}`
}

function rounded(value: number): string {
  return String(Math.round(value * 100) / 100)
}
