import { type Command, InvalidArgumentError } from 'commander'
import type { Piko } from '../../app/piko.ts'
import { isPikoError } from '../../errors.ts'
import type { ConfigDiff } from '../../operations/views/config-diff.ts'
import type { ConfigStatus } from '../../operations/configs.ts'
import type { ConfigVersion } from '../../store/jobs/config-store.ts'
import { visible, visibleLine } from '../../visible.ts'
import { cliJobs, jobsOption } from '../cli-jobs.ts'
import { cliSettings } from '../cli-settings.ts'
import { asCommand } from '../process/command-actor.ts'
import { examples, type GlobalOptions, globalOptions } from '../global-options.ts'
import { parseJson } from '../parse/parse-json.ts'
import { parseInstant } from '../parse/parse-instant.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { type Column, table } from '../output/table.ts'
import { remoteTarget } from '../remote/target.ts'
import { withApp as withoutCode } from '../with-app.ts'

interface ConfigCommandOptions {
  readonly from?: Date
  readonly jobs?: string[]
}

export function addConfig(program: Command): void {
  const config = program
    .command('configs')
    .alias('config')
    .summary('show and change the config of jobs')
    .description(
      'Shows and changes the config of a job at run time. Every node uses a new version within seconds; a run in progress keeps its config.',
    )
    .addHelpText('after', examples(['piko configs show sync_orders', `piko configs set sync_orders '{"shop":"us"}'`]))
  const command = (name: string, description: string): Command =>
    config.command(name).description(description).argument('<job>', 'id of the job').addOption(jobsOption())

  command('show', 'Shows the version in force, and which live nodes use it.')
    .addHelpText('after', examples(['piko configs show sync_orders', 'piko configs show sync_orders --json']))
    .action((jobId: string, options: ConfigCommandOptions, self: Command) =>
      reading(options, globalOptions(self), async (app, { json }) => {
        const current = await app.configs.show(jobId)
        const none = `No config was saved for ${visibleLine(jobId)}: the defaults of its schema apply.`
        printResult(json, { current: current ?? null }, () =>
          current ? `${text(current)}\n\n${nodesText(current)}` : none,
        )
      }),
    )
  command('history', 'Lists the versions, newest first.')
    .addHelpText('after', examples(['piko configs history sync_orders']))
    .action((jobId: string, options: ConfigCommandOptions, self: Command) =>
      reading(options, globalOptions(self), async (app, { json }) => {
        const versions = await app.configs.history(jobId)
        printResult(json, { versions }, () => table(COLUMNS, versions))
      }),
    )
  command('set', 'Adds a version, provided the schema of the job accepts it.')
    .argument('<config>', 'the whole config, as JSON', parseJson)
    .option('--from <instant>', 'when it takes effect; default: now', parseInstant)
    .addHelpText(
      'after',
      examples([
        `piko configs set sync_orders '{"shop":"us"}'`,
        `piko configs set sync_orders '{"shop":"us"}' --from 2026-12-01T00:00:00Z`,
      ]),
    )
    .action((jobId: string, config: unknown, options: ConfigCommandOptions, self: Command) =>
      withApp(options, globalOptions(self), async (app, { json }) => {
        const saved = await app.configs.set(jobId, config, options.from ? { effectiveFrom: options.from } : {})
        printResult(json, { saved }, () =>
          [text(saved), ...saved.warnings.map((warning) => `warning: ${visibleLine(warning)}`)].join('\n'),
        )
      }),
    )
  command('diff', 'Compares two versions, value by value.')
    .argument('[from]', 'the earlier version; default: the one before the newest', parseVersion)
    .argument('[to]', 'the later version; default: the newest', parseVersion)
    .addHelpText('after', examples(['piko configs diff sync_orders', 'piko configs diff sync_orders 1 3 --json']))
    .action(
      (jobId: string, from: number | undefined, to: number | undefined, options: ConfigCommandOptions, self: Command) =>
        reading(options, globalOptions(self), async (app, { json }) => {
          const asked = { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
          const diff = await app.configs.diff(jobId, asked)
          printResult(json, diff, () => diffText(diff))
        }),
    )
  command('rollback', 'Adds a version with the content of an earlier one.')
    .argument('<version>', 'number of the version', parseVersion)
    .addHelpText('after', examples(['piko configs rollback sync_orders 3']))
    .action((jobId: string, version: number, options: ConfigCommandOptions, self: Command) =>
      withApp(options, globalOptions(self), async (app, { json }) => {
        const saved = await app.configs.rollback(jobId, version)
        printResult(json, { saved }, () => text(saved))
      }),
    )
}

function diffText({ from, to, changes }: ConfigDiff): string {
  const shown = (value: unknown): string => (value === undefined ? 'nothing' : visible(JSON.stringify(value)))
  const lines = changes.map(({ path, before, after }) => `${visibleLine(path)}: ${shown(before)} → ${shown(after)}`)
  return [`version ${from} → version ${to}`, ...(lines.length === 0 ? ['no difference'] : lines)].join('\n')
}

/** Runs a command that only reads. It loads the code only with `--jobs`, or if no node has registered the job yet. */
async function reading(
  options: ConfigCommandOptions,
  globals: GlobalOptions,
  work: (app: Piko, globals: GlobalOptions) => Promise<void>,
): Promise<void> {
  try {
    if (options.jobs === undefined) return await withoutCode(globals, (app) => work(app, globals))
  } catch (error) {
    if (!isPikoError(error, 'JOB_UNKNOWN') || remoteTarget.isSet) throw error
  }
  await withApp(options, globals, work)
}

async function withApp(
  options: ConfigCommandOptions,
  globals: GlobalOptions,
  work: (app: Piko, globals: GlobalOptions) => Promise<void>,
): Promise<void> {
  const remote = await remoteTarget.get()
  if (remote) return work(remote.app, globals)
  const settings = cliSettings(globals)
  const registry = await cliJobs(settings, options.jobs)
  const { Piko } = await import('../../app/piko.ts')
  const app = new Piko({ jobs: [...registry], execute: false })
  try {
    await app.start()
    await asCommand(() => work(app, globals))
  } finally {
    await app.stop()
  }
}

const COLUMNS: Column<ConfigVersion>[] = [
  { title: 'version', cell: ({ version }) => String(version) },
  { title: 'in force from', cell: ({ effectiveFrom }) => instantText(effectiveFrom) },
  { title: 'saved', cell: ({ createdAt }) => instantText(createdAt) },
  { title: 'config', cell: ({ config }) => JSON.stringify(config) },
]

function text({ jobId, version, effectiveFrom, config }: ConfigVersion): string {
  return `${visibleLine(jobId)}, version ${version}, in force from ${instantText(effectiveFrom)}:\n${visible(JSON.stringify(config, null, 2))}`
}

/** Returns `3 of 4 nodes on version 12`, and a line for each node on another version. */
function nodesText({ version, nodes }: ConfigStatus): string {
  const others = nodes.filter((node) => node.version !== version)
  const count = `${nodes.length - others.length} of ${nodes.length} ${nodes.length === 1 ? 'node' : 'nodes'}`
  const lines = others.map(({ nodeId, host, pid, version: used, refused }) => {
    const why = refused ? `, refuses version ${refused.version}: ${visibleLine(refused.problem)}` : ''
    return `  ${nodeId} (${visibleLine(host)}, pid ${pid}): ${used === undefined ? 'no version' : `version ${used}`}${why}`
  })
  return [`${count} on version ${version}`, ...lines].join('\n')
}

function parseVersion(value: string): number {
  const version = Number(value)
  if (Number.isSafeInteger(version) && version > 0) return version
  throw new InvalidArgumentError('expected the number of a version, such as 3')
}
