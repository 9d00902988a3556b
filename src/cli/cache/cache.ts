import type { Command } from 'commander'
import type { CacheFigures } from '../../store/cache/cache-store.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { withApp } from '../with-app.ts'

export function addCache(program: Command): void {
  const cache = program
    .command('cache')
    .summary('show and clear caches in the database')
    .description('Shows and deletes the entries that caches store in the database.')
  cache.addHelpText('after', examples(['piko cache list', 'piko cache clear rates --prefix eu:']))
  addList(cache, {
    noun: 'caches',
    description: 'Lists the caches with entries in the database, by name. Changes nothing.',
    examples: ['piko cache list', "piko cache list --json | jq -r '.caches[].name'"],
    columns: () => COLUMNS,
    find: (options: { limit?: number; after?: string }, globals) => withApp(globals, (app) => app.cache.list(options)),
  })
    .option('--limit <count>', 'maximum number of caches to list; default: 100', parseLimit)
    .option('--after <name>', 'only caches with later names, for the next page')
  cache
    .command('stats')
    .description('Counts the entries of one cache in the database. Changes nothing.')
    .argument('<cache>', 'name of the cache')
    .addHelpText('after', examples(['piko cache stats rates', 'piko cache stats rates --json']))
    .action((name: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { stored } = await app.cache.stats(name)
        printResult(json, { stored }, () => table(COLUMNS, [stored]))
      }),
    )
  cache
    .command('clear')
    .description(
      'Deletes entries of a cache in the database. A process that holds copies in memory may use them until the ttl of its l1 has passed.',
    )
    .argument('<cache>', 'name of the cache')
    .option('--prefix <text>', 'only keys that begin with this text; default: all')
    .addHelpText('after', examples(['piko cache clear rates', 'piko cache clear rates --prefix eu:']))
    .action((name: string, { prefix }: { readonly prefix?: string }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const deleted = await app.cache.clear(name, prefix === undefined ? {} : { prefix })
        printResult(
          json,
          { cache: name, deleted },
          () => `${deleted} ${deleted === 1 ? 'entry' : 'entries'} of ${visibleLine(name)} deleted`,
        )
      }),
    )
}

const COLUMNS: readonly Column<CacheFigures>[] = [
  { title: 'cache', cell: ({ name }) => name },
  { title: 'entries', cell: ({ entries }) => String(entries) },
  { title: 'stale', cell: ({ stale }) => String(stale) },
  { title: 'bytes', cell: ({ bytes }) => String(bytes) },
  { title: 'other', cell: ({ other }) => String(other) },
]
