import { ActionButton } from '../actions/action.tsx'
import { resetLimit } from '../actions/of-fleet.ts'
import { get } from '../shared/api.ts'
import { useLoad } from '../shared/load.ts'
import { BY_NAME, PageButtons, usePages } from '../shared/pages.tsx'
import { Card, Instant, Shown } from '../shared/parts.tsx'

const PAGE = 50

/** The locks, resources and shared limits that nodes hold. */
export function Held() {
  const lockPages = usePages('locks')
  const limitPages = usePages('limits')
  const loaded = useLoad(`held ${lockPages.cursor} ${limitPages.cursor}`, async (signal) => ({
    locks: await get<'locks.list'>('/locks', { cursor: lockPages.cursor, limit: PAGE }, signal),
    resources: (await get<'resources.list'>('/resources', {}, signal)).items,
    limits: await get<'limits.list'>('/limits', { cursor: limitPages.cursor, limit: PAGE }, signal),
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
            rows={locks.items.map(({ name, fence, expiresAt }) => [name, fence, <Instant at={expiresAt} />])}
            foot={<PageButtons pages={lockPages} next={locks.next} of="locks" words={BY_NAME} />}
          />
          <List
            title="Rate limits"
            none="No shared limit is in use."
            heads={['Limit', 'Taken', 'Until', 'Actions']}
            rows={limits.items.map((limit) => [
              limit.name,
              limit.taken,
              <Instant at={limit.expiresAt} />,
              <ActionButton action={resetLimit(limit)}>Reset…</ActionButton>,
            ])}
            foot={<PageButtons pages={limitPages} next={limits.next} of="rate limits" words={BY_NAME} />}
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
  readonly foot?: preact.ComponentChildren
}

function List({ title, none, heads, rows, foot }: ListProps) {
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
      {foot}
    </Card>
  )
}
