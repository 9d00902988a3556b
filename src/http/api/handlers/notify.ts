import type { Handlers } from '../handler.ts'
import { idIn, pageById } from '../paged.ts'

export const notifyHandlers: Handlers<'notify'> = {
  'notify.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const before = idIn(cursor)
    const found = await app.notify.list({ ...filter, limit: limit + 1, ...(before !== undefined && { before }) })
    return pageById(found, limit)
  },
  'notify.alerts': async (app) => ({ items: await app.notify.alerts() }),
  'notify.test': async (app, { body: { to } }) => ({ items: await app.notify.test(to === undefined ? {} : { to }) }),
}
