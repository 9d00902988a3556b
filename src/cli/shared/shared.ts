import { type Command, InvalidArgumentError } from 'commander'
import type { Piko } from '../../app/piko.ts'
import type { SharedRecord } from '../../job/shared-value.ts'
import type { SharedSummary } from '../../store/shared/shared-store.ts'
import { visible, visibleLine } from '../../visible.ts'
import { jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { parseJson } from '../parse/parse-json.ts'
import { parseLimit } from '../parse/parse-limit.ts'
import { remoteTarget } from '../remote/target.ts'
import type { Settings } from '../../settings/settings.ts'
import { withApp, withAppOn } from '../with-app.ts'

interface ChangeOptions {
  readonly jobs?: string[]
}

export function addShared(program: Command): void {
  const shared = program
    .command('shared')
    .summary('show and change values that all nodes share')
    .description('Shows and changes values that all nodes share. Every node uses a new version within one poll.')
  shared.addHelpText('after', examples(['piko shared list', `piko shared publish rates '{"eur":1.1}' --reason sale`]))
  addList(shared, {
    noun: 'shared',
    description: 'Lists the topics with their newest versions, by name. Changes nothing.',
    examples: ['piko shared list', "piko shared list --json | jq -r '.shared[].topic'"],
    columns: () => LIST_COLUMNS,
    find: (options: { limit?: number; after?: string }, globals) => withApp(globals, (app) => app.shared.list(options)),
  })
    .option('--limit <count>', 'maximum number of topics to list; default: 100', parseLimit)
    .option('--after <name>', 'only topics with later names, for the next page')
  addShow(shared)
  addHistory(shared)
  addPublish(shared)
  addRollback(shared)
}

function addShow(shared: Command): void {
  shared
    .command('show')
    .description('Shows the newest version of a value. Changes nothing.')
    .argument('<topic>', 'topic of the value')
    .addHelpText('after', examples(['piko shared show rates', 'piko shared show rates --json']))
    .action((topic: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const newest = await app.shared.show(topic)
        const none = `No version of ${visibleLine(topic)} was published: the initial value in the code applies.`
        printResult(json, { shared: newest ?? null }, () => (newest ? text(newest) : none))
      }),
    )
}

function addHistory(shared: Command): void {
  shared
    .command('history')
    .description('Lists the stored versions of a value, newest first. Changes nothing.')
    .argument('<topic>', 'topic of the value')
    .option('--limit <count>', 'maximum number of versions to list, up to 100; default: 20', parseLimit)
    .addHelpText('after', examples(['piko shared history rates', 'piko shared history rates --limit 5 --json']))
    .action((topic: string, options: { readonly limit?: number }, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const versions = await app.shared.history(topic, options)
        printResult(json, { versions }, () =>
          versions.length === 0 ? 'no versions' : table(HISTORY_COLUMNS, versions),
        )
      }),
    )
}

function addPublish(shared: Command): void {
  shared
    .command('publish')
    .description('Adds a version, provided the schema in your code accepts it.')
    .argument('<topic>', 'topic of the value')
    .argument('<value>', 'the whole value, as JSON', parseJson)
    .addOption(jobsOption())
    .addHelpText(
      'after',
      examples([`piko shared publish rates '{"eur":1.1}'`, `piko shared publish rates '{"eur":1.1}' --reason sale`]),
    )
    .action((topic: string, value: unknown, options: ChangeOptions, command: Command) =>
      change(command, options, topic, (app, reason) => app.shared.publish(topic, value, reason)),
    )
}

function addRollback(shared: Command): void {
  shared
    .command('rollback')
    .description('Adds a version with the content of an earlier one.')
    .argument('<topic>', 'topic of the value')
    .argument('<version>', 'number of the version', parseVersion)
    .addOption(jobsOption())
    .addHelpText('after', examples(['piko shared rollback rates 7']))
    .action((topic: string, version: number, options: ChangeOptions, command: Command) =>
      change(command, options, topic, (app, reason) => app.shared.rollback(topic, version, reason)),
    )
}

/** Changes a value. Loads the modules of the project first, because they define the values and their schemas. */
async function change(
  command: Command,
  { jobs }: ChangeOptions,
  topic: string,
  publish: (app: Piko, reason: { readonly reason?: string }) => Promise<number>,
): Promise<void> {
  const globals = globalOptions(command)
  const { reason } = globals
  // A remote node knows the schema, so no modules are loaded.
  if (!remoteTarget.isSet) await loadModules(cliSettings(globals), jobs)
  await withAppOn({}, async (app) => {
    const version = await publish(app, reason === undefined ? {} : { reason })
    printResult(globals.json, { topic, version }, () => `${visibleLine(topic)} has version ${version}`)
  })
}

async function loadModules(settings: Settings, jobs: string[] | undefined): Promise<void> {
  const { discoverJobs } = await import('../../app/discovery/discover.ts')
  const { jobGlobs } = await import('../../app/discovery/job-globs.ts')
  await discoverJobs(jobs ?? jobGlobs(settings), process.cwd())
}

const LIST_COLUMNS: readonly Column<SharedSummary>[] = [
  { title: 'topic', cell: ({ topic }) => topic },
  { title: 'version', cell: ({ version }) => String(version) },
  { title: 'stored', cell: ({ versions }) => String(versions) },
  { title: 'since', cell: ({ createdAt }) => instantText(createdAt) },
  { title: 'reason', cell: ({ reason }) => reason ?? '-' },
]

const HISTORY_COLUMNS: readonly Column<SharedRecord>[] = [
  { title: 'version', cell: ({ version }) => String(version) },
  { title: 'since', cell: ({ createdAt }) => instantText(createdAt) },
  { title: 'reason', cell: ({ reason }) => reason ?? '-' },
  { title: 'value', cell: ({ value }) => JSON.stringify(value) },
]

function text({ topic, version, value, reason, createdAt }: SharedRecord): string {
  const why = reason === undefined ? '' : ` (${visibleLine(reason)})`
  return `${visibleLine(topic)}, version ${version} since ${instantText(createdAt)}${why}:\n${visible(JSON.stringify(value, null, 2))}`
}

function parseVersion(value: string): number {
  const version = Number(value)
  if (Number.isSafeInteger(version) && version > 0) return version
  throw new InvalidArgumentError('expected the number of a version, such as 3')
}
