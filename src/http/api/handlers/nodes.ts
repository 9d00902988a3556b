import type { Handlers } from '../handler.ts'

export const nodeHandlers: Handlers<'nodes'> = {
  'nodes.list': async (app) => ({ items: await app.nodes.list() }),
  'nodes.leader': (app) => app.nodes.leader(),
  'nodes.settings': (app, { query }) => app.nodes.settings(query),
  'nodes.set': (app, { body: { changes, ...options } }) => app.nodes.set(changes, options),
  'nodes.drain': (app, { params }) => app.nodes.drain(params.node),
  'nodes.resume': (app, { params }) => app.nodes.resume(params.node),
}
