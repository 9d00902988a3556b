import type { Command } from 'commander'
import { visibleBlock } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

/** Adds `piko jobs why`, and its short form `piko why`. */
export function addWhy(parent: Command): void {
  parent
    .command('why')
    .summary('explain why a job did or did not run')
    .description(
      'Explains in one sentence why a job did or did not run at an instant of its schedule. For a job with windows, the instant is the ' +
        'start of a window if one starts then, otherwise a tick; the sentence says which. Changes nothing.',
    )
    .argument('<job>', 'id of the job')
    .argument(
      '[tick]',
      "the start of a window, a tick, or a date of the job's zone; default: the tick of the oldest waiting window, otherwise the last " +
        'planned tick',
      parseMoment,
    )
    .addHelpText(
      'after',
      examples([
        'piko jobs why sync_orders',
        'piko why sync_orders 2026-03-08T07:00:00Z',
        'piko why daily_report 2025-06-15',
        'piko why sync_orders --json',
      ]),
    )
    .action((jobId: string, tick: Date | string | undefined, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const why = await app.jobs.why(jobId, tick)
        const { sentence, takenAs = null, runId = null } = why
        printResult(json, { jobId, tick: why.tick ?? null, takenAs, runId, why: sentence }, () =>
          visibleBlock(sentence),
        )
      }),
    )
}
