import type { Command } from 'commander'
import { examples } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText } from '../output/print-result.ts'
import type { Column } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'
import type { HeldNamedLock } from '../../operations/named-locks.ts'

export function addLocks(program: Command): void {
  const locks = program
    .command('locks')
    .summary('list held locks')
    .description('Shows the locks that handlers and apps hold on this database.')
  locks.addHelpText('after', examples(['piko locks list']))
  addList(locks, {
    noun: 'locks',
    description: 'Lists the currently held locks, by name. Changes nothing.',
    examples: ['piko locks list', "piko locks list --json | jq -r '.locks[].name'"],
    columns: () => COLUMNS,
    find: (options: { limit?: number; after?: string }, globals) => withApp(globals, (app) => app.locks.list(options)),
  })
    .option('--limit <count>', 'maximum number of locks to list; default: 100', parseLimit)
    .option('--after <name>', 'only locks with later names, for the next page')
}

const COLUMNS: readonly Column<HeldNamedLock>[] = [
  { title: 'lock', cell: ({ name }) => name },
  { title: 'fence', cell: ({ fence }) => String(fence) },
  { title: 'until', cell: ({ expiresAt }) => instantText(expiresAt) },
]
