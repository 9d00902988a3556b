import { type Command } from 'commander'
import { examples, globalOptions } from '../global-options.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'
import { type HeldNamedLock } from '../../operations/named-locks.ts'

export function addLocks(program: Command): void {
  const locks = program
    .command('locks')
    .summary('list held locks')
    .description('Shows the locks that handlers and apps hold on this database.')
  locks.addHelpText('after', examples(['piko locks list']))
  locks
    .command('list')
    .description('Lists the currently held locks, by name. Changes nothing.')
    .option('--limit <count>', 'maximum number of locks to list; default: 100', parseLimit)
    .addHelpText('after', examples(['piko locks list', "piko locks list --json | jq -r '.locks[].name'"]))
    .action((options: { limit?: number }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const held = await app.locks.list(options)
        printResult(json, { locks: held }, () => table(COLUMNS, held))
      }),
    )
}

const COLUMNS: readonly Column<HeldNamedLock>[] = [
  { title: 'lock', cell: ({ name }) => name },
  { title: 'fence', cell: ({ fence }) => String(fence) },
  { title: 'until', cell: ({ expiresAt }) => instantText(expiresAt) },
]
