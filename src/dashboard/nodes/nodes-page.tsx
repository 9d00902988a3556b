import { ActionButton } from '../actions/action.tsx'
import { drainNode, resumeNode } from '../actions/of-fleet.ts'
import { get, type Item, part } from '../shared/api.ts'
import { numberText } from '../shared/format.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { Held } from './held.tsx'
import { Services } from './services.tsx'
import { Sinks } from './sinks.tsx'

/** The nodes, their services, the locks and resources that they hold, and the sinks whose rows did not arrive. */
export function NodesPage() {
  useTitle('Nodes')
  const loaded = useLoad('nodes', async (signal) => ({
    nodes: (await get<'nodes.list'>('/nodes', {}, signal)).items,
    leader: await get<'nodes.leader'>('/leader', {}, signal),
  }))
  return (
    <Page title="Nodes">
      <Card title="Nodes">
        <Shown of={loaded}>
          {({ nodes, leader }) =>
            nodes.length === 0 ? (
              <Empty title="No node runs">
                <p>
                  Start one with <code>npx piko start</code>.
                </p>
              </Empty>
            ) : (
              <NodeTable nodes={nodes} leader={leader.nodeId} />
            )
          }
        </Shown>
      </Card>
      <Services />
      <Held />
      <Sinks />
    </Page>
  )
}

function NodeTable({
  nodes,
  leader,
}: {
  readonly nodes: readonly Item<'nodes.list'>[]
  readonly leader: string | undefined
}) {
  return (
    <Table
      label="Nodes with their leases"
      columns={[
        'Node',
        'State',
        { title: 'Running', isNumber: true },
        { title: 'Slots', isNumber: true },
        { title: 'Jobs known', isNumber: true },
        'Load',
        'Started',
        'Last heartbeat',
        'Lease until',
        'Actions',
      ]}
    >
      {nodes.map((node) => (
        <NodeRow key={node.id} node={node} isLeader={node.id === leader} />
      ))}
    </Table>
  )
}

function NodeRow({ node, isLeader }: { readonly node: Item<'nodes.list'>; readonly isLeader: boolean }) {
  const { id, host, pid, isLive, isDraining } = node
  return (
    <tr>
      <th scope="row">
        {host} ({pid}) {isLeader && <strong>leader</strong>}
        <span class="under">
          {id} {node.version}
        </span>
      </th>
      <td>{isLive ? isDraining ? '‖ draining' : '✓ live' : <span class="bad">✕ lease has ended</span>}</td>
      <td class="number">{numberText(node.running)}</td>
      <td class="number">{node.slots === undefined ? '—' : numberText(node.slots)}</td>
      <td class="number">
        <JobsKnown node={node} />
      </td>
      <td>
        {node.load
          ? `${node.load.cpu.toFixed(1)} processors, ${numberText(Math.round(node.load.memory / 1_000_000))} MB`
          : '—'}
      </td>
      <td>
        <Instant at={node.startedAt} />
      </td>
      <td>
        <Instant at={node.heartbeatAt} away />
      </td>
      <td>
        <Instant at={node.expiresAt} />
      </td>
      <td>
        <ActionButton
          off={isLive ? undefined : 'its lease has ended'}
          action={isDraining ? resumeNode(id, `${host} (${pid})`) : drainNode(node)}
        >
          {isDraining ? 'Resume…' : 'Drain…'}
        </ActionButton>
      </td>
    </tr>
  )
}

/** How many jobs the node's code has, and which. */
function JobsKnown({ node: { jobs, jobIds = [] } }: { readonly node: Item<'nodes.list'> }) {
  if (jobs === undefined) return <>—</>
  return (
    <details>
      <summary>
        {numberText(jobs)} <span class="sr">jobs</span>
      </summary>
      <ul class="plain">
        {jobIds.map((id) => (
          <li key={id}>
            <a href={`/jobs/${part(id)}`}>{id}</a>
          </li>
        ))}
        {jobs > jobIds.length && <li class="quiet">and {numberText(jobs - jobIds.length)} more</li>}
      </ul>
    </details>
  )
}
