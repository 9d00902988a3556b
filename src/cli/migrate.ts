import { type Command, InvalidArgumentError } from 'commander'
import type { Settings } from '../settings/settings.ts'
import type { Database } from '../store/connection/database.ts'
import type { MigrationStatus } from '../store/migration/migrate.ts'
import { say } from '../say.ts'
import { cliSettings, readOnly } from './cli-settings.ts'
import { examples, type GlobalOptions, globalOptions } from './global-options.ts'
import { instantText, printResult } from './output/print-result.ts'
import { table } from './output/table.ts'

type Direction = 'up' | 'down'

export function addMigrate(program: Command): void {
  const command = program
    .command('migrate')
    .summary("manage the database's schema")
    .description("Manages the schema of Piko's database.")
  command.addHelpText('after', examples(['piko migrate status', 'piko migrate up', 'piko migrate down --to 0']))
  addDirection(command, 'up', 'Brings the schema up to date. Any number of processes may do so at the same time.', [
    'piko migrate up',
    'PIKO_MYSQL__DSN=mysql://piko:secret@db/piko piko migrate up',
  ])
  addDirection(
    command,
    'down',
    'Reverts the last migration, and deletes the data in the tables and columns it removes.',
    ['piko migrate down', 'piko migrate down --to 0    # removes every table of Piko'],
  )
  command
    .command('status')
    .description('Shows which migrations are applied. Changes nothing.')
    .addHelpText('after', examples(['piko migrate status', 'piko migrate status --json | jq .current']))
    .action((_options: object, sub: Command) => status(globalOptions(sub)))
}

function addDirection(parent: Command, direction: Direction, description: string, lines: readonly string[]): void {
  parent
    .command(direction)
    .description(description)
    .option(
      '--to <version>',
      `version to migrate to; default: ${direction === 'up' ? 'the latest' : 'one below the current'}`,
      parseVersion,
    )
    .addHelpText('after', examples(lines))
    .action(({ to }: { to?: number }, command: Command) => move(direction, to, globalOptions(command)))
}

async function move(direction: Direction, to: number | undefined, globals: GlobalOptions): Promise<void> {
  const settings = cliSettings(globals)
  const { migrate, migrationStatus } = await import('../store/migration/migrate.ts')
  await withDatabase(direction === 'up' ? settings : looking(settings), async (database) => {
    const { applied } = await migrate(database, { direction, to })
    const { current, latest } = await migrationStatus(database)
    printResult(globals.json, { direction, applied, current, latest }, () =>
      [...applied.map((name) => `${name} ${direction}`), `the schema is at version ${current} of ${latest}`].join('\n'),
    )
  })
}

async function status(globals: GlobalOptions): Promise<void> {
  const { migrationStatus } = await import('../store/migration/migrate.ts')
  await withDatabase(looking(cliSettings(globals)), async (database) => {
    const found = await migrationStatus(database)
    printResult(globals.json, found, () => statusText(found))
  })
}

function statusText({ current, latest, migrations }: MigrationStatus): string {
  const rows = table(
    [
      { title: 'migration', cell: ({ name }) => name },
      { title: 'state', cell: ({ state }) => state },
      { title: 'applied at', cell: ({ appliedAt }) => instantText(appliedAt) },
    ],
    migrations,
  )
  return `the schema is at version ${current} of ${latest}\n\n${rows}`
}

/** Returns settings that do not create a missing SQLite file, because an empty database has nothing to show or to revert. */
function looking(settings: Settings): Settings {
  return { ...settings, sqlite: { path: readOnly(settings).sqlite.path } }
}

async function withDatabase(settings: Settings, use: (database: Database) => Promise<void>): Promise<void> {
  const { databaseWarning, openSettingsDatabase } = await import('../store/open-store.ts')
  const warning = databaseWarning(settings)
  if (warning !== undefined) say(`warning: ${warning}`)
  const database = await openSettingsDatabase(settings)
  try {
    await use(database)
  } finally {
    await database.close()
  }
}

function parseVersion(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected the number of a migration, or 0 for none')
}
