import { ActionButton } from '../actions/action.tsx'
import { resetLimit } from '../actions/of-fleet.ts'
import { get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { Card, Instant, Shown } from '../shared/parts.tsx'

/** The locks, resources and shared limits that nodes hold. */
export function Held() {
  const loaded = useLoad('held', async (signal) => ({
    locks: (await get<'locks.list'>('/locks', {}, signal)).items,
    resources: (await get<'resources.list'>('/resources', {}, signal)).items,
    limits: (await get<'limits.list'>('/limits', {}, signal)).items,
  }))
  return (
    <Shown of={loaded}>
      {({ locks, resources, limits }) => (
        <div class="columns">
          <List
            title="Resources"
            none="No job uses a resource."
            heads={['Resource', 'Node', 'Borrowed', 'Waiting']}
            rows={resources.map(({ name, host, borrowed, size, waiting }) => [
              name,
              host,
              size === null ? `${borrowed}` : `${borrowed} of ${size}`,
              waiting,
            ])}
          />
          <List
            title="Locks"
            none="No lock is held."
            heads={['Lock', 'Fence', 'Until']}
            rows={locks.map(({ name, fence, expiresAt }) => [name, fence, <Instant at={expiresAt} />])}
          />
          <List
            title="Rate limits"
            none="No shared limit is in use."
            heads={['Limit', 'Taken', 'Until', 'Actions']}
            rows={limits.map((limit) => [
              limit.name,
              limit.taken,
              <Instant at={limit.expiresAt} />,
              <ActionButton action={resetLimit(limit)}>Reset…</ActionButton>,
            ])}
          />
        </div>
      )}
    </Shown>
  )
}

interface ListProps {
  readonly title: string
  readonly none: string
  readonly heads: readonly string[]
  readonly rows: readonly (readonly preact.ComponentChildren[])[]
}

function List({ title, none, heads, rows }: ListProps) {
  return (
    <Card title={title}>
      {rows.length === 0 ? (
        <p class="quiet">{none}</p>
      ) : (
        <table>
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((cells, row) => (
              <tr key={row}>
                {cells.map((cell, index) => (
                  <td key={heads[index]}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Card>
  )
}
