import { counted } from '../../counted.ts'
import { type Command, Option } from 'commander'
import type { WindowMark, WindowRerun } from '../../operations/operation-options.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseMoment } from '../parse/parse-moment.ts'
import { printResult } from '../output/print-result.ts'
import { withAppOn } from '../with-app.ts'
import { withWindows } from './with-windows.ts'

interface RerunOptions extends WindowRerun {
  readonly jobs?: string[]
}

/** Adds the commands that change windows. */
export function addWindowChanges(windows: Command): void {
  ranged(windows.command('rerun'))
    .description('Runs windows of a range again, as a backfill. Running nodes execute it.')
    .addOption(new Option('--only <which>', 'which windows').choices(['failed', 'all']).default('all'))
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([
        'piko windows rerun sync_orders --from 2026-03-01 --to 2026-03-02',
        'piko windows rerun sync_orders --from 2026-03-01 --to 2026-03-02 --only failed --json',
      ]),
    )
    .action(async (jobId: string, { jobs, ...range }: RerunOptions, command: Command) => {
      const globals = globalOptions(command)
      const registry = await cliJobs(cliSettings(globals), jobs)
      await withAppOn(
        {},
        async (app) => {
          const backfill = await app.windows.rerun(jobId, range)
          printResult(globals.json, { backfill }, () => `backfill ${backfill.id}: ${counted(backfill.total, 'window')}`)
        },
        [...registry],
      )
    })
  ranged(windows.command('stale'))
    .description(
      'Marks the succeeded windows of a range as stale: the data that they wrote is no longer correct. A backfill of missing windows runs them again.',
    )
    .addHelpText('after', examples(['piko windows stale sync_orders --from 2026-03-01 --to 2026-03-02']))
    .action((jobId: string, range: WindowMark, command: Command) =>
      withWindows(jobId, command, async (app, json) => {
        const marked = await app.windows.stale(jobId, range)
        printResult(json, { job: jobId, ...marked }, () => `marked ${counted(marked.windows, 'window')} as stale`)
      }),
    )
}

function ranged(command: Command): Command {
  return command
    .argument('<job>', 'id of a job with windows')
    .requiredOption('--from <instant>', 'start of the range: an instant or a date', parseMoment)
    .requiredOption('--to <instant>', 'end of the range (exclusive)', parseMoment)
}
