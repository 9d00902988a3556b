import type { Command } from 'commander'
import type { LeaderStatus } from '../../operations/nodes.ts'
import { examples, globalOptions } from '../global-options.ts'
import { instantText, printResult } from '../output/print-result.ts'
import { withApp } from '../with-app.ts'

/** Adds the commands for drains and for the leader. */
export function addDrain(nodes: Command): void {
  nodes
    .command('leader')
    .description('Shows the node that plans ticks and windows. Changes nothing.')
    .addHelpText('after', examples(['piko nodes leader', 'piko nodes leader --json | jq -r .leader.nodeId']))
    .action((_options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const leader = await app.nodes.leader()
        printResult(json, { leader }, () => leaderText(leader))
      }),
    )
  nodes
    .command('drain')
    .description(
      'Stops a node, or all nodes of a host, from beginning further runs. Runs in progress continue. "piko nodes resume" ends the drain; ' +
        'the drain of a single node also ends with its process.',
    )
    .argument('<host or node>', 'a host, or the id of one node')
    .addHelpText('after', examples(['piko nodes drain worker-3', 'piko nodes list --json | jq .nodes']))
    .action((on: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { version, settings } = await app.nodes.drain(on)
        printResult(json, { on, version, settings }, () => `${on} begins no further runs`)
      }),
    )
  nodes
    .command('resume')
    .description('Lets a drained node, or the nodes of a host, begin runs again.')
    .argument('<host or node>', 'a host, or the id of one node')
    .addHelpText('after', examples(['piko nodes resume worker-3']))
    .action((on: string, _options: object, command: Command) =>
      withApp(globalOptions(command), async (app, json) => {
        const { version, settings } = await app.nodes.resume(on)
        printResult(json, { on, version, settings }, () => `${on} begins runs again`)
      }),
    )
}

function leaderText({ nodeId, host, epoch, expiresAt }: LeaderStatus): string {
  if (nodeId === undefined) return 'No node leads now.'
  return `node ${nodeId}${host === undefined ? '' : ` on ${host}`}, epoch ${epoch}, lease until ${instantText(expiresAt)}`
}
