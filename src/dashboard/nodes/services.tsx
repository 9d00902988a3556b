import { type Answer, get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Shown } from '../shared/parts.tsx'

type Tree = Answer<'services.tree'>

/** The tree of services of the node that serves this page. */
export function Services() {
  const loaded = useLoad('services', (signal) => get<'services.tree'>('/services', {}, signal))
  return (
    <Card title="Services of the node that answers">
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
            {(service?.restarts ?? 0) > 0 && <span class="bad"> restarted {service?.restarts} times</span>}
            {children.length > 0 && <Branch tree={tree} ids={children} seen={new Set([...seen, id])} />}
          </li>
        )
      })}
    </ul>
  )
}
