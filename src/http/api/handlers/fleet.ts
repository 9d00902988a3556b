import { serviceGraph } from '../../../service/graph/graph.ts'
import type { Handlers } from '../handler.ts'
import { nameCursor, nameIn, pageByName } from '../paged.ts'

/** The maximum number of limits or caches that are read. Both lists are usually short. */
const MAX_NAMES = 10_000

export const limitHandlers: Handlers<'limits'> = {
  'limits.list': async (app, { query }) =>
    pageByName(await app.limits.list({ limit: MAX_NAMES }), ({ name }) => name, query),
  'limits.reset': async (app, { params }) => ({ wasCounted: await app.limits.reset(params.limit) }),
}

export const lockHandlers: Handlers<'locks'> = {
  'locks.list': async (app, { query: { cursor, limit } }) => {
    const after = nameIn(cursor)
    const found = await app.locks.list({ limit: limit + 1, ...(after !== undefined && { after }) })
    const items = found.slice(0, limit)
    return { items, next: nameCursor(found.length > limit ? items.at(-1)?.name : undefined) }
  },
}

export const resourceHandlers: Handlers<'resources'> = {
  'resources.list': async (app) => ({ items: await app.resources.list() }),
}

export const cacheHandlers: Handlers<'cache'> = {
  'cache.list': async (app, { query }) =>
    pageByName(await app.cache.list({ limit: MAX_NAMES }), ({ name }) => name, query),
  'cache.stats': (app, { params }) => app.cache.stats(params.cache),
  'cache.clear': async (app, { params, body }) => ({ deleted: await app.cache.clear(params.cache, body) }),
}

export const serviceHandlers: Handlers<'services'> = {
  'services.tree': (app) => serviceGraph(app.services),
}
