import { type Command, Option } from 'commander'
import type { ServiceChoice, ServiceFilter } from '../../operations/operation-options.ts'
import type { FleetService, ServiceRestart, ServiceTree } from '../../operations/services.ts'
import { visibleLine } from '../../visible.ts'
import { examples, globalOptions } from '../global-options.ts'
import { addList } from '../list-command.ts'
import { printResult } from '../output/print-result.ts'
import { styleFor } from '../output/style.ts'
import type { Column } from '../output/table.ts'
import { withApp } from '../with-app.ts'

/** Adds `piko services`. */
export function addServices(program: Command): void {
  const services = program
    .command('services')
    .summary('list and restart the services of nodes')
    .description(
      'Shows the services of all live nodes, and restarts those of your own. Asks the nodes over their links.',
    )
  services.addHelpText('after', examples(['piko services list', 'piko services restart Prices --on worker-3']))
  addList(services, {
    noun: 'services',
    description:
      'Lists the services of every live node, with states and restarts. Changes nothing. Without --on, leaves out nodes that this process cannot reach.',
    examples: [
      'piko services list --service Prices',
      "piko services list --json | jq '.services[] | select(.canRestart)'",
    ],
    columns,
    find: (options: ServiceFilter, globals) => withApp(globals, (app) => app.services.list(options)),
    data: (row) => ({ ...row, nodeId: row.nodeId ?? null }),
  })
    .addOption(onOption('all live nodes'))
    .option('--service <name>', 'only services with this path or name')
  services
    .command('tree')
    .description('Shows the tree of services of one node. Changes nothing.')
    .addOption(onOption('the node that leads'))
    .addHelpText('after', examples(['piko services tree', 'piko services tree --on worker-3 --json']))
    .action((options: ServiceChoice, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const on = options.on ?? (await app.nodes.leader()).nodeId
        const tree = await app.services.tree(on === undefined ? {} : { on })
        printResult(json, tree, () => treeText(tree))
      }),
    )
  services
    .command('restart')
    .description(
      'Restarts a service of your own that has a supervisor, as after a crash. Without --on, restarts it on every live node that has it, one node after another. Waits up to 3 s on each node.',
    )
    .argument('<service>', 'its path, such as Piko/Prices, or its name')
    .addOption(onOption('all live nodes that have it'))
    .addHelpText('after', examples(['piko services restart Prices', 'piko services restart Piko/Prices --on worker-3']))
    .action((service: string, options: ServiceChoice, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const restarted = await app.services.restart(service, options)
        printResult(json, { services: restarted }, () => restarted.map(restartLine).join('\n'))
      }),
    )
}

function onOption(otherwise: string): Option {
  return new Option('--on <host or node>', `a host, or the id of one node; default: ${otherwise}`)
}

function restartLine({ host, nodeId, service, state, restarts, problem }: ServiceRestart): string {
  const times = restarts === undefined ? '' : `, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`
  const why = problem === undefined ? '' : `: ${visibleLine(problem)}`
  return `${visibleLine(service)} on ${host}${nodeId === undefined ? '' : ` (${nodeId})`}: ${state}${times}${why}`
}

function treeText({ nodes, edges }: ServiceTree): string {
  const children = edges.filter(({ kind }) => kind === 'child')
  const inner = new Set(children.map(({ to }) => to))
  const lines = (id: string, depth: number): string[] => {
    const node = nodes.find((one) => one.id === id)
    if (!node) return []
    const restarts = node.restarts === 0 ? '' : `, ${node.restarts} ${node.restarts === 1 ? 'restart' : 'restarts'}`
    const own = `${'  '.repeat(depth)}${visibleLine(node.name)}: ${node.state}${restarts}`
    return [own, ...children.filter(({ from }) => from === id).flatMap(({ to }) => lines(to, depth + 1))]
  }
  return nodes
    .filter(({ id }) => !inner.has(id))
    .flatMap(({ id }) => lines(id, 0))
    .join('\n')
}

function columns(): Column<FleetService>[] {
  const { green, yellow } = styleFor(process.stdout)
  return [
    { title: 'service', cell: ({ path }) => visibleLine(path) },
    { title: 'host', cell: ({ host }) => host },
    { title: 'node', cell: ({ nodeId }) => nodeId ?? '-' },
    { title: 'restarts', cell: ({ restarts }) => String(restarts) },
    {
      title: 'state',
      cell: ({ state }) => state,
      paint: (text, { state }) => (state === 'running' ? green(text) : yellow(text)),
    },
  ]
}
