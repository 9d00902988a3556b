import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, Option } from 'commander'
import { RUN_LOG_LEVELS, type RunLogLevel, type RunLogLine } from '../../run/run-log.ts'
import { visibleBlock, visibleJson } from '../../visible.ts'
import { TERMINAL_STATES } from '../../run/run.ts'
import { examples, globalOptions } from '../global-options.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { parseRunId } from '../parse/parse-id.ts'
import { styleFor } from '../output/style.ts'
import { withApp } from '../with-app.ts'
import { progressLine } from './progress-data.ts'

interface LogsOptions {
  readonly level?: RunLogLevel
  readonly limit: number
  readonly follow?: boolean
}

const FOLLOW_MS = 500
const LAST_LINES_MS = 1_500

export function addRunLogs(runs: Command): void {
  runs
    .command('logs')
    .description('Shows the log lines of a run. Changes nothing.')
    .argument('<run>', 'number of the run', parseRunId)
    .addOption(new Option('--level <level>', 'only lines at this level and above').choices(RUN_LOG_LEVELS))
    .option('--limit <count>', 'maximum number of lines to show', parseLimit, 1_000)
    .option('--follow', 'show new lines and the progress until the run has ended')
    .addHelpText(
      'after',
      examples([
        'piko runs logs 17',
        'piko runs logs 17 --follow',
        "piko runs logs 17 --level warn --json | jq '.lines[].message'",
      ]),
    )
    .action((runId: number, options: LogsOptions, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { level, limit, follow } = options
        let after = 0
        let isOver = !follow
        let shown: string | undefined
        do {
          const { state, progress } = await app.runs.show(runId)
          if (!isOver && TERMINAL_STATES.has(state)) {
            isOver = true
            // The node stores lines every second, so the last ones may still be missing.
            await sleep(LAST_LINES_MS)
          }
          const lines = await app.runs.logs(runId, { after, limit, ...(level && { level }) })
          after = lines.at(-1)?.id ?? after
          if (follow && json) for (const line of lines) process.stdout.write(`${visibleJson(line)}\n`)
          else if (follow) {
            for (const line of lines) process.stdout.write(`${lineText(line)}\n`)
            const text =
              progress && `${instantText(progress.updatedAt)} #${progress.attempt} ${progressLine(progress)}\n`
            if (text !== undefined && text !== shown) process.stdout.write(text)
            shown = text
          } else printResult(json, { runId, lines }, () => lines.map(lineText).join('\n') || 'no lines')
          if (!isOver) await sleep(FOLLOW_MS)
        } while (!isOver)
      }),
    )
}

function lineText({ at, level, attempt, message, fields }: RunLogLine): string {
  const style = styleFor(process.stdout)
  const words = `${instantText(at)} #${attempt} ${level.padEnd(5)} ${visibleBlock(message)}`
  return fields ? `${words} ${style.dim(visibleJson(fields))}` : words
}
