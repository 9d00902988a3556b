import type { Handlers } from '../handler.ts'
import { pageOfAll } from '../paged.ts'

export const nodeHandlers: Handlers<'nodes'> = {
  'nodes.list': async (app, { query }) =>
    pageOfAll(await app.nodes.list(), ({ startedAt, id }) => `${startedAt.toISOString()} ${id}`, query),
  'nodes.leader': (app) => app.nodes.leader(),
  'nodes.settings': (app, { query }) => app.nodes.settings(query),
  'nodes.set': (app, { body: { changes, ...options } }) => app.nodes.set(changes, options),
  'nodes.drain': (app, { params }) => app.nodes.drain(params.node),
  'nodes.resume': (app, { params }) => app.nodes.resume(params.node),
}
