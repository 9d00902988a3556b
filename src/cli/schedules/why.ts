import type { Command } from 'commander'
import { visibleBlock } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

/** Adds `piko jobs why`, and its short form `piko why`. */
export function addWhy(parent: Command): void {
  parent
    .command('why')
    .summary('explain why a job did or did not run')
    .description(
      'Explains in one sentence why a job did or did not run at an instant of its schedule. Changes nothing.',
    )
    .argument('<job>', 'id of the job')
    .argument(
      '[tick]',
      'a tick or the start of a window, with its zone; default: the tick of the oldest waiting window, otherwise the last planned tick',
      parseInstant,
    )
    .addHelpText(
      'after',
      examples([
        'piko jobs why sync_orders',
        'piko why sync_orders 2026-03-08T07:00:00Z',
        'piko why sync_orders --json',
      ]),
    )
    .action((jobId: string, tick: Date | undefined, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const why = await app.jobs.why(jobId, tick)
        printResult(json, { jobId, tick: why.tick ?? null, runId: why.runId ?? null, why: why.sentence }, () =>
          visibleBlock(why.sentence),
        )
      }),
    )
}
