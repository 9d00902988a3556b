import type { Handlers } from '../handler.ts'
import { idIn, pageById, pageOfAll } from '../paged.ts'

export const notifyHandlers: Handlers<'notify'> = {
  'notify.list': async (app, { query: { cursor, limit, ...filter } }) => {
    const before = idIn(cursor)
    const found = await app.notify.list({ ...filter, limit: limit + 1, ...(before !== undefined && { before }) })
    return pageById(found, limit)
  },
  'notify.alerts': async (app, { query }) =>
    pageOfAll(await app.notify.alerts(), ({ jobId, problem }) => `${jobId} ${problem}`, query),
  'notify.test': async (app, { body: { to } }) => ({ items: await app.notify.test(to === undefined ? {} : { to }) }),
}
