import type { Command } from 'commander'
import { examples } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp } from '../with-app.ts'
import type { ResourceStatus } from '../../store/nodes/node-store.ts'

export function addResources(program: Command): void {
  const resources = program
    .command('resources')
    .summary('list the resources that runs borrow')
    .description('Shows the resources that runs borrow, on all live nodes.')
  resources.addHelpText('after', examples(['piko resources list']))
  addList(resources, {
    noun: 'resources',
    description:
      'Lists the resources of every live node, with size, borrowed slots and waiting runs. A node stores its figures when they change, at most every 5 s. Changes nothing. States: unopened, open, lost (runs wait until it has been opened again).',
    examples: [
      'piko resources list',
      'piko resources list --json | jq \'.resources[] | select(.state == "lost") | .name\'',
    ],
    columns,
    find: (_options, globals) => withApp(globals, (app) => app.resources.list()),
  })
}

function columns(): Column<ResourceStatus>[] {
  const { green, yellow } = styleFor(process.stdout)
  return [
    { title: 'resource', cell: ({ name }) => name },
    { title: 'host', cell: ({ host }) => host },
    { title: 'node', cell: ({ nodeId }) => nodeId },
    { title: 'scope', cell: ({ scope }) => scope },
    { title: 'size', cell: ({ size }) => (size === null ? 'no limit' : String(size)) },
    { title: 'borrowed', cell: ({ borrowed }) => String(borrowed) },
    { title: 'waiting', cell: ({ waiting }) => String(waiting) },
    { title: 'renewals', cell: ({ renewals }) => String(renewals) },
    { title: 'failed checks', cell: ({ checkFailures }) => String(checkFailures) },
    {
      title: 'state',
      cell: ({ state, error }) => (error === undefined ? state : `${state}: ${error}`),
      paint: (text, { state }) => (state === 'lost' ? yellow(text) : green(text)),
    },
  ]
}
