import { signal } from '@preact/signals'
import { ActionButton } from '../actions/action.tsx'
import { revokeToken } from '../actions/of-fleet.ts'
import { get, type Item } from '../shared/api.ts'
import { useTitle } from '../shared/layout.tsx'
import { useLoad } from '../shared/load.ts'
import { Card, Copy, Empty, Instant, Page, Shown, Table } from '../shared/parts.tsx'
import { BY_NAME, PageButtons, usePages } from '../shared/pages.tsx'
import { query, setQuery } from '../shared/router.ts'
import { CreateToken } from './create-token.tsx'

type Token = Item<'tokens.list'>

const PAGE = 100

/** The new token itself. It can't be read again later. */
const made = signal<{ readonly name: string; readonly text: string } | undefined>(undefined)

/** The tokens of the API, with their roles. */
export function TokensPage() {
  useTitle('Tokens')
  const all = query.value.get('all') === 'true'
  const pages = usePages()
  const { cursor } = pages
  const loaded = useLoad(`tokens ${all} ${cursor}`, (signal) =>
    get<'tokens.list'>('/tokens', { limit: PAGE, cursor, ...(all && { all }) }, signal),
  )
  return (
    <Page title="Tokens">
      {made.value && <Made name={made.value.name} text={made.value.text} />}
      <CreateToken onMade={(name, text) => (made.value = { name, text })} />
      <Card
        title="Tokens"
        aside={
          <label class="search">
            <input
              type="checkbox"
              checked={all}
              onChange={({ currentTarget }) =>
                setQuery({ all: currentTarget.checked ? 'true' : undefined, cursor: undefined })
              }
            />
            also revoked and expired ones
          </label>
        }
      >
        <Shown of={loaded}>
          {({ items, next }) =>
            items.length === 0 ? (
              <Empty title="No token yet">
                <p>A token lets a person or program use this server from another machine. Create one above.</p>
              </Empty>
            ) : (
              <>
                <Table label="Tokens" columns={['Name', 'Role', 'Jobs', 'Created', 'Last used', 'Ends', 'Actions']}>
                  {items.map((token) => (
                    <TokenRow key={token.id} token={token} />
                  ))}
                </Table>
                <PageButtons pages={pages} next={next} of="tokens" words={BY_NAME} />
              </>
            )
          }
        </Shown>
      </Card>
    </Page>
  )
}

function Made({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <section class="card" aria-label="New token">
      <p>
        <strong>Copy the token {name} now.</strong> It is not stored and can&apos;t be shown again.
      </p>
      <p class="row">
        <code class="secret">{text}</code> <Copy label="Copy" text={text} />
        <button type="button" class="small" onClick={() => (made.value = undefined)}>
          Hide
        </button>
      </p>
    </section>
  )
}

function TokenRow({ token }: { readonly token: Token }) {
  const { name, role, jobs, isValid, createdAt, expiresAt, revokedAt, lastUsedAt } = token
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{role}</td>
      <td>{jobs?.join(', ') ?? <span class="quiet">all</span>}</td>
      <td>
        <Instant at={createdAt} />
      </td>
      <td>
        <Instant at={lastUsedAt} away />
      </td>
      <td>
        {revokedAt === undefined ? (
          <Instant at={expiresAt} away />
        ) : (
          <>
            revoked <Instant at={revokedAt} />
          </>
        )}
      </td>
      <td>
        <ActionButton off={isValid ? undefined : 'it is no longer valid'} action={revokeToken(token)}>
          Revoke…
        </ActionButton>
      </td>
    </tr>
  )
}
