import type { Handlers } from '../handler.ts'
import { idCursor, idIn, pageById } from '../paged.ts'

export const itemHandlers: Handlers<'items'> = {
  'items.status': (app, { params }) => app.items.status(params.runId),
  'items.list': async (app, { params, query: { cursor, ...filter } }) => {
    const after = idIn(cursor)
    const { items, next } = await app.items.list(params.runId, { ...filter, ...(after !== undefined && { after }) })
    return { items, next: idCursor(next) }
  },
  'items.show': (app, { params }) => app.items.show(params.itemId),
  'items.replay': (app, { params, body }) => app.items.replay(params.runId, body),
  'items.lanes': async (app, { query: { cursor, limit, ...filter } }) => {
    const after = idIn(cursor)
    const found = await app.items.lanes({ ...filter, ...(after !== undefined && { after }), limit: limit + 1 })
    return pageById(found, limit)
  },
  'items.pause': (app, { params, body }) => app.items.pause(params.lane, body),
  'items.resume': (app, { params, body }) => app.items.resume(params.lane, body),
}
