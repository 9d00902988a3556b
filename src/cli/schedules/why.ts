import type { Command } from 'commander'
import { visibleBlock } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'
import type { WhyStep } from '../../operations/why/why-steps.ts'

/** Adds `why` to a command, as `piko jobs why` or as its short form `piko why`. */
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
      "the start of a window, a tick, or a date in the job's time zone; default: the oldest waiting window, otherwise the last planned " +
        'tick, or the oldest due run if the run of that tick has ended',
      parseMoment,
    )
    .option('--steps', 'also print what each rule decided, with its evidence')
    .addHelpText(
      'after',
      examples([
        'piko jobs why sync_orders',
        'piko why sync_orders 2026-03-08T07:00:00Z',
        'piko why daily_report 2025-06-15 --steps',
        'piko why sync_orders --json',
      ]),
    )
    .action((jobId: string, tick: Date | string | undefined, options: { readonly steps?: true }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const why = await app.jobs.why(jobId, tick)
        const { sentence, takenAs = null, runId = null, steps } = why
        printResult(json, { jobId, tick: why.tick ?? null, takenAs, runId, why: sentence, steps }, () =>
          visibleBlock(options.steps ? [sentence, ...steps.map(stepLine)].join('\n') : sentence),
        )
      }),
    )
}

function stepLine({ rule, verdict, evidence }: WhyStep): string {
  return `  ${verdict.padEnd(7)}  ${rule}: ${evidence}`
}
