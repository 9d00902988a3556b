import { PikoError } from '../../../errors.ts'
import type { Handlers } from '../handler.ts'
import { afterName, idCursor, idIn, pageByName } from '../paged.ts'

/**
 * The maximum number of versions to read for one response, including the one that shows whether there are more. Each may have a megabyte.
 */
const MAX_HISTORY = 100

export const sharedHandlers: Handlers<'shared'> = {
  'shared.list': async (app, { query }) =>
    pageByName(await app.shared.list(afterName(query)), ({ topic }) => topic, query),
  'shared.show': async (app, { params: { topic } }) => {
    const record = await app.shared.show(topic)
    if (record) return record
    throw new PikoError('SHARED_UNKNOWN', `no version of ${topic} is stored; GET /shared lists the stored topics`, {
      details: { topic },
    })
  },
  'shared.history': async (app, { params, query: { cursor, limit } }) => {
    const before = idIn(cursor)
    const asked = Math.min(limit + 1, MAX_HISTORY)
    const found = await app.shared.history(params.topic, { limit: asked, ...(before !== undefined && { before }) })
    const items = found.slice(0, asked - 1)
    return { items, next: found.length === asked ? idCursor(items.at(-1)?.version) : undefined }
  },
  'shared.publish': async (app, { params: { topic }, body }) => ({
    topic,
    version: await app.shared.publish(topic, body.value),
  }),
  'shared.rollback': async (app, { params: { topic }, body }) => ({
    topic,
    version: await app.shared.rollback(topic, body.version),
  }),
}
