import type { ItemsStatus } from '../../operations/items/item-status.ts'
import type { LaneStatus, StoredItem } from '../../store/items/list-items.ts'
import { redactText } from '../../run/redact.ts'
import { formatMs } from '../../time/duration.ts'
import { instantText } from '../output/print-result.ts'
import { type Column, fieldsText, table } from '../output/table.ts'

export const laneColumns: readonly Column<LaneStatus>[] = [
  { title: 'lane', cell: ({ name }) => name },
  { title: 'scope', cell: ({ scope }) => scope },
  { title: 'state', cell: ({ state }) => state },
  { title: 'queued', cell: ({ queued }) => String(queued) },
  { title: 'running', cell: ({ running }) => String(running) },
  { title: 'rate', cell: ({ ratePerSecond }) => (ratePerSecond === undefined ? '-' : `${rounded(ratePerSecond)}/s`) },
  { title: 'parallel', cell: ({ parallel }) => (parallel === undefined ? '-' : String(parallel)) },
  { title: 'factor', cell: ({ factor }) => String(rounded(factor)) },
  { title: 'until', cell: ({ openUntil }) => instantText(openUntil) },
]

const STATUS: readonly Column<ItemsStatus>[] = [
  { title: 'run', cell: ({ runId, jobId, state }) => `${runId} of ${jobId}: ${state}` },
  { title: 'items', cell: ({ total, isSeeded }) => `${total}${isSeeded ? '' : ', and its handler adds more'}` },
  { title: 'open', cell: ({ queued, running }) => `${queued} queued, ${running} running` },
  {
    title: 'ended',
    cell: ({ done, dead, skipped, cancelled }) =>
      `${done} done, ${dead} dead, ${skipped} skipped, ${cancelled} cancelled`,
  },
  { title: 'known', cell: ({ duplicates, left }) => `${duplicates} duplicates, ${left} left out by a limit` },
  { title: 'bytes', cell: ({ bytes }) => String(bytes) },
  { title: 'speed', cell: ({ perSecond }) => `${rounded(perSecond)} items/s` },
  { title: 'left', cell: ({ etaMs }) => (etaMs === undefined ? '-' : formatMs(etaMs)) },
]

export function statusText(status: ItemsStatus): string {
  const reasons = Object.entries(status.reasons).map(([reason, count]) => `${reason} ${count}`)
  return [
    fieldsText(STATUS, status),
    ...(reasons.length > 0 ? [`reasons  ${reasons.join(', ')}`] : []),
    ...(status.lanes.length > 0 ? ['', table(laneColumns, status.lanes)] : []),
  ].join('\n')
}

type ShownItem = StoredItem & { readonly data: unknown }

const ITEM: readonly Column<ShownItem>[] = [
  { title: 'item', cell: ({ id }) => String(id) },
  { title: 'run', cell: ({ runId, jobId }) => `${runId} of ${jobId}` },
  { title: 'kind', cell: ({ kind }) => kind },
  { title: 'key', cell: ({ key }) => key },
  { title: 'state', cell: ({ state, reason }) => (reason === undefined ? state : `${state}: ${reason}`) },
  { title: 'lane', cell: ({ lane }) => lane },
  {
    title: 'depth',
    cell: ({ depth, parent }) => (parent === undefined ? String(depth) : `${depth}, added by ${parent}`),
  },
  { title: 'due', cell: ({ dueAt }) => instantText(dueAt) },
  { title: 'tries', cell: ({ tries }) => JSON.stringify(tries) },
  { title: 'kept', cell: ({ hasKept }) => (hasKept ? 'bytes of a failed try' : '-') },
  { title: 'data', cell: ({ data }) => redactText(JSON.stringify(data) ?? '-') },
  { title: 'error', cell: ({ error }) => (error ? `${error.name}: ${error.message}` : '-') },
]

export function itemText(item: ShownItem): string {
  return fieldsText(ITEM, item)
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}
