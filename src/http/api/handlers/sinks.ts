import type { Handlers } from '../handler.ts'
import { idIn, pageById, pageOfAll } from '../paged.ts'

export const sinkHandlers: Handlers<'sinks'> = {
  'sinks.list': async (app, { query }) => pageOfAll(await app.sinks.list(), ({ sink }) => sink, query),
  'sinks.dead': async (app, { query: { cursor, limit, ...filter } }) => {
    const after = idIn(cursor)
    const found = await app.sinks.dead({ ...filter, ...(after !== undefined && { after }), limit: limit + 1 })
    return pageById(found, limit)
  },
  'sinks.replay': (app, { body }) => app.sinks.replay(body),
  'sinks.drop': async (app, { body }) => ({ deleted: await app.sinks.drop(body) }),
}
