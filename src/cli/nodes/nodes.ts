import type { Command } from 'commander'
import { examples } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { instantText } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp } from '../with-app.ts'
import type { NodeStatus } from '../../store/nodes/node-store.ts'

export function addNodes(program: Command): void {
  const nodes = program
    .command('nodes')
    .summary('list the processes that execute runs')
    .description('Shows the processes that execute runs.')
  nodes.addHelpText('after', examples(['piko nodes list']))
  addList(nodes, {
    noun: 'nodes',
    description:
      'Lists the nodes, oldest first, each with its lease. Changes nothing. States: live, expired (its lease has expired).',
    examples: ['piko nodes list', "piko nodes list --json | jq '.nodes[] | select(.isLive) | .id'"],
    columns,
    find: (_options, globals) => withApp(globals, (app) => app.nodes.list()),
  })
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
