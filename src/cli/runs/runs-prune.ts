import { type Command, Option } from 'commander'
import { ENDED_STATES, type EndedState } from '../../run/run.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { examples, globalOptions } from '../global-options.ts'
import { printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

interface PruneCommand {
  readonly olderThan: Duration
  readonly state?: EndedState
  readonly job?: string
  readonly dryRun?: boolean
}

export function addRunsPrune(runs: Command): void {
  runs
    .command('prune')
    .description(
      'Deletes ended runs with their attempts and log lines, in small steps. The ledger of windows stays. ' +
        'The settings of [history] do the same automatically.',
    )
    .requiredOption('--older-than <duration>', 'runs that ended longer ago than this, such as 30d', parseDuration)
    .addOption(new Option('--state <state>', 'only runs in this state').choices(ENDED_STATES))
    .option('--job <id>', 'only runs of this job')
    .option('--dry-run', 'only show how many runs it would delete')
    .addHelpText(
      'after',
      examples(['piko runs prune --older-than 30d --dry-run', 'piko runs prune --older-than 7d --state succeeded']),
    )
    .action(({ olderThan, state, job, dryRun = false }: PruneCommand, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const count = await app.runs.prune({ olderThan, dryRun, jobId: job, ...(state && { states: [state] }) })
        printResult(
          json,
          { count, dryRun },
          () => `${count} ${count === 1 ? 'run' : 'runs'} ${dryRun ? 'would be ' : ''}deleted`,
        )
      }),
    )
}

function parseDuration(text: string): Duration {
  durationMs(text, '--older-than')
  return text as Duration
}
