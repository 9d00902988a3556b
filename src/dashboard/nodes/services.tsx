import { ActionButton } from '../actions/action.tsx'
import { restartService, type Service } from '../actions/of-fleet.ts'
import { type Answer, get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Shown } from '../shared/parts.tsx'
import { query, setQuery } from '../shared/router.ts'

type Tree = Answer<'services.tree'>

/** The tree of services of the node that serves this page, or of another one. */
export function Services() {
  const on = query.value.get('services') ?? ''
  const nodes = useLoad('services nodes', (signal) => get<'nodes.list'>('/nodes', {}, signal))
  const loaded = useLoad(`services ${on}`, (signal) =>
    get<'services.tree'>('/services', on === '' ? {} : { on }, signal),
  )
  const choice = (
    <label>
      <span>Node</span>
      <select value={on} onChange={({ currentTarget }) => setQuery({ services: currentTarget.value || undefined })}>
        <option value="">the one that answers</option>
        {nodes.data?.items.map(({ id, host, pid }) => (
          <option key={id} value={id}>
            {host} ({pid})
          </option>
        ))}
      </select>
    </label>
  )
  return (
    <Card title="Services" aside={choice}>
      <Shown of={loaded}>{(tree) => <Branch tree={tree} ids={rootsOf(tree)} seen={new Set()} />}</Shown>
    </Card>
  )
}

function rootsOf({ nodes, edges }: Tree): string[] {
  const children = new Set(edges.filter(({ kind }) => kind === 'child').map(({ to }) => to))
  return nodes.map(({ id }) => id).filter((id) => !children.has(id))
}

function Branch({
  tree,
  ids,
  seen,
}: {
  readonly tree: Tree
  readonly ids: readonly string[]
  readonly seen: ReadonlySet<string>
}) {
  return (
    <ul class="tree">
      {ids.map((id) => {
        const service = tree.nodes.find((one) => one.id === id)
        const children = tree.edges
          .filter(({ kind, from, to }) => kind === 'child' && from === id && !seen.has(to))
          .map(({ to }) => to)
        return (
          <li key={id}>
            {service?.name ?? id}{' '}
            <span class={service?.state === 'running' ? 'state-succeeded' : 'state-failed'}>{service?.state}</span>
            {(service?.restarts ?? 0) > 0 && (
              <span class="bad">
                {' '}
                restarted {service?.restarts} {service?.restarts === 1 ? 'time' : 'times'}
              </span>
            )}{' '}
            {service?.canRestart === true && <Restart service={service} nodeId={tree.nodeId} />}
            {children.length > 0 && <Branch tree={tree} ids={children} seen={new Set([...seen, id])} />}
          </li>
        )
      })}
    </ul>
  )
}

function Restart({ service, nodeId }: { readonly service: Service; readonly nodeId: string | undefined }) {
  return <ActionButton action={restartService(service, nodeId)}>Restart…</ActionButton>
}
