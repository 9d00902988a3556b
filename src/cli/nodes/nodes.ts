import { type Command } from 'commander'
import { examples, globalOptions } from '../global-options.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import { type Column, table } from '../output/table.ts'
import { withApp } from '../with-app.ts'
import { type NodeStatus } from '../../store/nodes/node-store.ts'

export function addNodes(program: Command): void {
  const nodes = program
    .command('nodes')
    .summary('list the processes that execute runs')
    .description('Shows the processes that execute runs.')
  nodes.addHelpText('after', examples(['piko nodes list']))
  nodes
    .command('list')
    .description(
      'Lists the nodes, oldest first, each with its lease. Changes nothing. States: live, expired (its lease has expired).',
    )
    .addHelpText(
      'after',
      examples(['piko nodes list', "piko nodes list --json | jq '.nodes[] | select(.isLive) | .id'"]),
    )
    .action((_options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const found = await app.nodes.list()
        printResult(json, { nodes: found }, () => table(columns(), found))
      }),
    )
}

function columns(): Column<NodeStatus>[] {
  const { green, yellow } = styleFor(process.stdout)
  return [
    { title: 'node', cell: ({ id }) => id },
    { title: 'host', cell: ({ host }) => host },
    { title: 'pid', cell: ({ pid }) => String(pid) },
    { title: 'started', cell: ({ startedAt }) => instantText(startedAt) },
    { title: 'lease until', cell: ({ expiresAt }) => instantText(expiresAt) },
    {
      title: 'state',
      cell: ({ isLive }) => (isLive ? 'live' : 'expired'),
      paint: (text, { isLive }) => (isLive ? green(text) : yellow(text)),
    },
  ]
}
