import { type Command, InvalidArgumentError, Option } from 'commander'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp } from '../with-app.ts'
import { addDrain } from './nodes-drain.ts'
import type { ListedNode, NodeChoice, NodeSettings, NodeSettingsChange } from '../../operations/nodes.ts'
import { LIVE_NAMES } from '../../settings/live.ts'
import { visibleLine } from '../../visible.ts'

export function addNodes(program: Command): void {
  const nodes = program
    .command('nodes')
    .summary('list the processes that execute runs, change their live settings')
    .description('Shows the processes that execute runs, and changes their live settings.')
  nodes.addHelpText('after', examples(['piko nodes list', 'piko nodes set log_level=debug']))
  addList(nodes, {
    noun: 'nodes',
    description:
      'Lists the nodes, oldest first, each with its lease. Changes nothing. States: live, draining (it begins no further runs), expired (its lease has expired).',
    examples: ['piko nodes list', "piko nodes list --json | jq '.nodes[] | select(.isLive) | .id'"],
    columns,
    find: (_options, globals) => withApp(globals, (app) => app.nodes.list()),
  })
  addDrain(nodes)
  nodes
    .command('settings')
    .description('Shows the live settings that all nodes share, or those of one host or node. Changes nothing.')
    .addOption(onOption())
    .addHelpText('after', examples(['piko nodes settings', 'piko nodes settings --on worker-3 --json']))
    .action((options: NodeChoice, command: Command) =>
      withApp(globalOptions(command), async (app, json) => print(await app.nodes.settings(options), json)),
    )
  nodes
    .command('set')
    .description(
      `Changes live settings of all nodes, or of one host or node, without a restart: ${LIVE_NAMES.join(', ')}. ` +
        'The changes survive restarts, except those of a single node. An empty value restores the setting with which each node started.',
    )
    .argument('<setting=value...>', 'such as log_level=debug', parseChange)
    .addOption(onOption())
    .addHelpText(
      'after',
      examples([
        'piko nodes set log_level=debug',
        'piko nodes set concurrency=20 poll_interval=500ms',
        'piko nodes set log_level=trace --on worker-3',
        'piko nodes set log_level=',
      ]),
    )
    .action((changes: NodeSettingsChange, options: NodeChoice, command: Command) =>
      withApp(globalOptions(command), async (app, json) => print(await app.nodes.set(changes, options), json)),
    )
}

function onOption(): Option {
  return new Option('--on <host or node>', 'a host, or the id of one node; default: all nodes')
}

function print({ version, settings, effectiveFrom }: NodeSettings, json: boolean): void {
  printResult(json, { version, settings, effectiveFrom: effectiveFrom ?? null }, () => {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = ${visibleLine(JSON.stringify(value))}`)
    if (version === 0) return 'No live settings are saved here.'
    return [`version ${version}, in force from ${instantText(effectiveFrom)}`, ...lines].join('\n')
  })
}

/**
 * Parses a value: a whole number becomes a number, an empty value null; every other value stays a string. The operation checks the value.
 */
function parseChange(text: string, others: NodeSettingsChange = {}): NodeSettingsChange {
  const [, name, value = ''] = /^([a-z_]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined) throw new InvalidArgumentError('expected a setting and its value, such as log_level=debug')
  return { ...others, [name]: value === '' ? null : /^-?\d+$/.test(value) ? Number(value) : value }
}

function columns(): Column<ListedNode>[] {
  const { green, yellow } = styleFor(process.stdout)
  return [
    { title: 'node', cell: ({ id }) => id },
    { title: 'host', cell: ({ host }) => host },
    { title: 'pid', cell: ({ pid }) => String(pid) },
    {
      title: 'settings',
      cell: ({ settingsVersion, ownSettingsVersion }) =>
        [
          ...(settingsVersion === undefined ? [] : [`version ${settingsVersion}`]),
          ...(ownSettingsVersion === undefined ? [] : [`own version ${ownSettingsVersion}`]),
        ].join(', ') || '-',
    },
    { title: 'version', cell: ({ version }) => version ?? '-' },
    { title: 'jobs', cell: ({ jobs }) => (jobs === undefined ? '-' : String(jobs)) },
    {
      title: 'runs',
      cell: ({ running, slots }) => (slots === undefined ? String(running) : `${running} of ${slots}`),
    },
    { title: 'started', cell: ({ startedAt }) => instantText(startedAt) },
    { title: 'lease until', cell: ({ expiresAt }) => instantText(expiresAt) },
    {
      title: 'state',
      cell: ({ isLive, isDraining }) => (!isLive ? 'expired' : isDraining ? 'draining' : 'live'),
      paint: (text, { isLive, isDraining }) => (isLive && !isDraining ? green(text) : yellow(text)),
    },
  ]
}
