import { type Command, Option } from 'commander'
import { RUN_LOG_LEVELS, type RunLogLevel, type RunLogLine } from '../../run/run-log.ts'
import { visibleBlock, visibleJson } from '../../visible.ts'
import type { RunNews } from '../../operations/runs/follow-run.ts'
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
        if (!follow) {
          const lines = await app.runs.logs(runId, { limit, ...(level && { level }) })
          printResult(json, { runId, lines }, () => lines.map(lineText).join('\n') || 'no lines')
          return
        }
        for await (const news of app.runs.follow(runId, level ? { level } : {})) print(news, json)
      }),
    )
}

function print(news: RunNews, json: boolean): void {
  if (news.kind === 'line') process.stdout.write(`${json ? visibleJson(news.line) : lineText(news.line)}\n`)
  if (news.kind !== 'progress' || json) return
  const { updatedAt, attempt } = news.progress
  process.stdout.write(`${instantText(updatedAt)} #${attempt} ${progressLine(news.progress)}\n`)
}

function lineText({ at, level, attempt, message, fields }: RunLogLine): string {
  const style = styleFor(process.stdout)
  const words = `${instantText(at)} #${attempt} ${level.padEnd(5)} ${visibleBlock(message)}`
  return fields ? `${words} ${style.dim(visibleJson(fields))}` : words
}
