import type { Handlers } from '../handler.ts'
import { afterName, pageByName, pageOfAll } from '../paged.ts'

export const limitHandlers: Handlers<'limits'> = {
  'limits.list': async (app, { query }) =>
    pageByName(await app.limits.list(afterName(query)), ({ name }) => name, query),
  'limits.reset': async (app, { params }) => ({ wasCounted: await app.limits.reset(params.limit) }),
}

export const lockHandlers: Handlers<'locks'> = {
  'locks.list': async (app, { query }) => pageByName(await app.locks.list(afterName(query)), ({ name }) => name, query),
}

export const resourceHandlers: Handlers<'resources'> = {
  'resources.list': async (app, { query }) =>
    pageOfAll(await app.resources.list(), ({ name, nodeId }) => `${name} ${nodeId}`, query),
}

export const cacheHandlers: Handlers<'cache'> = {
  'cache.list': async (app, { query }) => pageByName(await app.cache.list(afterName(query)), ({ name }) => name, query),
  'cache.stats': (app, { params }) => app.cache.stats(params.cache),
  'cache.clear': async (app, { params, body }) => ({ deleted: await app.cache.clear(params.cache, body) }),
}

export const serviceHandlers: Handlers<'services'> = {
  'services.tree': (app, { query }) => app.services.tree(query),
  'services.list': async (app, { query }) => ({ items: await app.services.list(query) }),
  'services.restart': async (app, { params, body }) => ({ items: await app.services.restart(params.service, body) }),
}
