import type { CrawlRef } from '../../../operations/crawls/crawl-options.ts'
import type { Handlers } from '../handler.ts'
import { idCursor, idIn, pageById } from '../paged.ts'

export const crawlHandlers: Handlers<'crawls'> = {
  'crawls.status': (app, { params }) => app.crawls.status(refOf(params.crawl)),
  'crawls.items': async (app, { params, query: { cursor, ...filter } }) => {
    const after = idIn(cursor)
    const asked = { ...filter, ...(after !== undefined && { after }) }
    const { runId, pages, next } = await app.crawls.items(refOf(params.crawl), asked)
    return { runId, items: pages, next: idCursor(next) }
  },
  'crawls.dead': async (app, { params, query: { cursor, ...filter } }) => {
    const after = idIn(cursor)
    const asked = { ...filter, ...(after !== undefined && { after }) }
    const { runId, pages, next } = await app.crawls.dead(refOf(params.crawl), asked)
    return { runId, items: pages, next: idCursor(next) }
  },
  'crawls.replay': (app, { params, body }) => app.crawls.replay(refOf(params.crawl), body),
  'crawls.try': (app, { params, body: { url, step, ...options }, signal }) =>
    app.crawls.try(params.crawl, { url, ...(step !== undefined && { step }) }, { ...options, signal }),
  'crawls.lanes': async (app, { query: { cursor, limit, ...filter } }) => {
    const after = idIn(cursor)
    const found = await app.crawls.lanes({ ...filter, ...(after !== undefined && { after }), limit: limit + 1 })
    return pageById(found, limit)
  },
  'crawls.pause': (app, { params }) => app.crawls.pause(params.host),
  'crawls.resume': (app, { params }) => app.crawls.resume(params.host),
}

/** Parses the number of a run, or the id of a crawl. */
function refOf(text: string): CrawlRef {
  return /^\d{1,15}$/.test(text) ? Number(text) : text
}
