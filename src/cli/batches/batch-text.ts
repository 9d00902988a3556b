import type { BatchReport, BatchStatus } from '../../operations/batches/batch-status.ts'
import { counted } from '../../counted.ts'
import type { BatchFailure, BatchState } from '../../run/batch.ts'
import { progressText } from '../../run/progress.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleBlock, visibleLine } from '../../visible.ts'
import { instantText } from '../output/print-result.ts'
import { type Style, styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'

/** The maximum number of runs and items that the text names for one failure. */
const MAX_NAMED = 10

/** Returns a batch in the form that `--json` prints. */
export function batchData(batch: BatchStatus | BatchReport): object {
  const { key, onDone, doneRunId, ratePerSecond, etaMs, finishedAt, ...rest } = batch
  return {
    ...rest,
    key: key ?? null,
    onDone: onDone ?? null,
    doneRunId: doneRunId ?? null,
    ratePerSecond: ratePerSecond ?? null,
    etaMs: etaMs ?? null,
    finishedAt: finishedAt ?? null,
    ...('failures' in rest && {
      durations: rest.durations ?? null,
      failures: rest.failures.map(({ code, ...failure }) => ({ ...failure, code: code ?? null })),
    }),
  }
}

export function batchText(batch: BatchStatus | BatchReport): string {
  const style = styleFor(process.stdout)
  const { succeeded, failed, cancelled, running, queued, deleted, total, stored } = batch
  const counts = Object.entries({
    succeeded,
    failed,
    cancelled,
    running,
    queued,
    deleted,
    'not stored': total - stored,
  })
  const doneRun = batch.doneRunId === undefined ? '' : `, run ${batch.doneRunId}`
  const lines: [string, string | undefined][] = [
    ['batch', String(batch.id)],
    ['job', visibleLine(batch.jobId)],
    ['key', batch.key === undefined ? undefined : visibleLine(batch.key)],
    ['state', colourOf(style, batch.state)(batch.state)],
    ['done', progressText(batch)],
    ['runs', counts.flatMap(([name, count]) => (count > 0 ? `${count} ${name}` : [])).join(', ') || undefined],
    ['on done', batch.onDone === undefined ? undefined : `${visibleLine(batch.onDone)}${doneRun}`],
    ['created', instantText(batch.createdAt)],
    ['finished', batch.finishedAt && instantText(batch.finishedAt)],
    ['durations', 'durations' in batch ? durationsText(batch.durations) : undefined],
  ]
  const about = lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(9)} ${value}`]))
  const failures = 'failures' in batch ? batch.failures.map(failureText) : []
  return [about.join('\n'), ...failures].join('\n\n')
}

/** Says why a batch has not succeeded, and how to run its runs again. */
export function outcomeText({ id, failed, cancelled, deleted, stored, total }: BatchStatus): string {
  const replay = `piko batches replay ${id}`
  const reasons = [
    failed > 0 && `${counted(failed, 'run')} failed; ${replay} queues ${failed === 1 ? 'it' : 'them'} again`,
    cancelled > 0 &&
      `${counted(cancelled, 'run')} ${cancelled === 1 ? 'was' : 'were'} cancelled; ${replay} --state cancelled queues ${cancelled === 1 ? 'it' : 'them'} again`,
    stored < total && `${counted(total - stored, 'item')} ${total - stored === 1 ? 'was' : 'were'} not stored`,
    deleted > 0 && `${counted(deleted, 'run')} ${deleted === 1 ? 'is' : 'are'} missing, with unknown results`,
  ].filter((part) => part !== false)
  return reasons.length > 0 ? reasons.join('; ') : 'its remaining runs have succeeded'
}

function durationsText(durations: BatchReport['durations']): string | undefined {
  if (!durations) return undefined
  const { minMs, p50Ms, meanMs, p95Ms, maxMs } = durations
  return `${formatMs(minMs)} to ${formatMs(maxMs)}, mean ${formatMs(meanMs)}, half within ${formatMs(p50Ms)}, 95 % within ${formatMs(p95Ms)}`
}

function failureText({ error, count, example, runIds, items }: BatchFailure): string {
  const more = count > MAX_NAMED ? ` and ${count - MAX_NAMED} more` : ''
  const runs = `${runIds.slice(0, MAX_NAMED).join(', ')}${more}`
  return [
    `${count} failed   ${visibleLine(error)}`,
    `  example  ${visibleBlock(example, ' '.repeat(11))}`,
    `  runs     ${runs}`,
    `  items    ${items.slice(0, MAX_NAMED).join(', ')}${more}`,
  ].join('\n')
}

export function batchColumns(): Column<BatchStatus>[] {
  const style = styleFor(process.stdout)
  return [
    { title: 'batch', cell: ({ id }) => String(id) },
    { title: 'job', cell: ({ jobId }) => jobId },
    { title: 'key', cell: ({ key }) => key ?? '-' },
    { title: 'state', cell: ({ state }) => state, paint: (text, { state }) => colourOf(style, state)(text) },
    { title: 'done', cell: ({ done, total }) => `${done}/${total}` },
    { title: 'failed', cell: ({ failed }) => String(failed) },
    { title: 'left', cell: ({ etaMs }) => (etaMs === undefined ? '-' : formatMs(etaMs)) },
    { title: 'created', cell: ({ createdAt }) => instantText(createdAt) },
  ]
}

function colourOf({ green, red, yellow, cyan, gray }: Style, state: BatchState): (text: string) => string {
  return { creating: yellow, running: cyan, cancelling: yellow, cancelled: gray, succeeded: green, failed: red }[state]
}
