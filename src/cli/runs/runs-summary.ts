import { counted } from '../../counted.ts'
import type { Command } from 'commander'
import type { RunSummary } from '../../store/runs/run-summary.ts'
import type { CappedCount } from '../../store/statements/capped-count.ts'
import { formatMs } from '../../time/duration.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

const MAX_SHOWN = 10

export function addRunsSummary(runs: Command): void {
  runs
    .command('summary')
    .description(
      'Shows the work of all nodes now: runs by state, the depth and age of the queue, how late runs start, and the jobs whose windows lag ' +
        'behind. Changes nothing.',
    )
    .addHelpText('after', examples(['piko runs summary', 'piko runs summary --json | jq .oldestDueMs']))
    .action((_options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const summary = await app.runs.summary()
        printResult(json, summary, () => summaryText(summary))
      }),
    )
}

function summaryText({ queued, due, running, failed, oldestDueMs, lateness, windows }: RunSummary): string {
  const lagging = windows.filter(({ lagMs }) => lagMs > 0).slice(0, MAX_SHOWN)
  return [
    `queued     ${countText(queued)}, ${countText(due)} due${oldestDueMs === undefined ? '' : `, the oldest for ${formatMs(oldestDueMs)}`}`,
    `running    ${countText(running)}`,
    `failed     ${countText(failed)}`,
    `lateness   median ${formatMs(lateness.p50Ms)}, 95 % at most ${formatMs(lateness.p95Ms)} (newest ${counted(lateness.runs, 'run')})`,
    ...lagging.map(({ jobId, lagMs }) => `lag        ${formatMs(lagMs)}  ${visibleLine(jobId)}`),
  ].join('\n')
}

function countText({ count, isExact }: CappedCount): string {
  return isExact ? String(count) : `more than ${count}`
}
