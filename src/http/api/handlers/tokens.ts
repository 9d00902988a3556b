import { cursorOf, placeOf } from '../../../api/cursor.ts'
import type { Handlers } from '../handler.ts'

export const tokenHandlers: Handlers<'tokens' | 'audit'> = {
  'tokens.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const after = placeOf(cursor, { id: 'number' })?.id
    const found = await app.tokens.list({ ...filter, limit: limit + 1, ...(after !== undefined && { after }) })
    return pageOf(found, limit)
  },
  'tokens.create': (app, { body }) => app.tokens.create(body as Parameters<typeof app.tokens.create>[0]),
  'tokens.show': (app, { params }) => app.tokens.show(whichOf(params.token)),
  'tokens.revoke': (app, { params }) => app.tokens.revoke(whichOf(params.token)),
  'audit.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const before = placeOf(cursor, { id: 'number' })?.id
    const found = await app.audit.list({ ...filter, limit: limit + 1, ...(before !== undefined && { before }) })
    return pageOf(found, limit)
  },
}

/** Parses the id or the name of a token. A name contains at least one letter, so a string of digits is an id. */
function whichOf(token: string): string | number {
  return /^[1-9]\d{0,14}$/.test(token) ? Number(token) : token
}

function pageOf<T extends { readonly id: number }>(found: readonly T[], limit: number): object {
  const items = found.slice(0, limit)
  const last = items.at(-1)
  return { items, ...(found.length > limit && last && { next: cursorOf({ id: last.id }) }) }
}
