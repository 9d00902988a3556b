import type { Command } from 'commander'
import type { LimitStatus } from '../../store/admission/limit-rows.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import type { Column } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'

export function addLimits(program: Command): void {
  const limits = program
    .command('limits')
    .summary('list and reset the rate limits that all nodes share')
    .description(
      'Shows and resets the rate limits that jobs create with ctx.limit or limiter. All nodes share these limits.',
    )
  limits.addHelpText('after', examples(['piko limits list', 'piko limits reset shop-api']))
  addList(limits, {
    noun: 'limits',
    description: 'Lists the limits whose counts may still restrict new calls, ordered by name. Changes nothing.',
    examples: ['piko limits list', "piko limits list --json | jq '.limits[] | .name, .taken'"],
    columns: () => COLUMNS,
    find: (options: { limit?: number; after?: string }, globals) => withApp(globals, (app) => app.limits.list(options)),
    data: (status) => ({ ...status, lastAt: status.lastAt ?? null }),
  })
    .option('--limit <count>', 'maximum number of limits to list; default: 100', parseLimit)
    .option('--after <name>', 'only limits with later names, for the next page')
  limits
    .command('reset')
    .description(
      'Resets the count of a limit, so that its whole rate is free immediately. For one period of the rate, the called server may ' +
        'receive up to twice as many calls as the limit allows.',
    )
    .argument('<limit>', 'name of the limit')
    .addHelpText('after', examples(['piko limits reset shop-api', 'piko limits reset shop-api --json']))
    .action((name: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const isReset = await app.limits.reset(name)
        printResult(json, { name, isReset }, () =>
          isReset ? `${visibleLine(name)} is reset` : `nothing is counted for ${visibleLine(name)}`,
        )
      }),
    )
}

const COLUMNS: readonly Column<LimitStatus>[] = [
  { title: 'limit', cell: ({ name }) => visibleLine(name) },
  { title: 'taken', cell: ({ taken }) => String(taken) },
  { title: 'last', cell: ({ lastAt }) => instantText(lastAt) },
  { title: 'until', cell: ({ expiresAt }) => instantText(expiresAt) },
]
