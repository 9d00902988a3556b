import type { Handlers } from '../handler.ts'
import { idCursor, idIn } from '../paged.ts'

export const configHandlers: Handlers<'configs'> = {
  'configs.show': async (app, { params: { jobId } }) =>
    (await app.configs.show(jobId)) ?? { jobId, version: 0, nodes: [] },
  'configs.history': async (app, { params, query: { cursor, limit } }) => {
    const before = idIn(cursor)
    const found = await app.configs.history(params.jobId, limit + 1, before === undefined ? {} : { before })
    const items = found.slice(0, limit)
    return { items, next: found.length > limit ? idCursor(items.at(-1)?.version) : undefined }
  },
  'configs.diff': (app, { params, query }) => app.configs.diff(params.jobId, query),
  'configs.set': (app, { params, body: { config, ...options } }) => app.configs.set(params.jobId, config, options),
  'configs.rollback': (app, { params, body }) => app.configs.rollback(params.jobId, body.version),
}
