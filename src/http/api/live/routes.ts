import type { FastifyInstance } from 'fastify'
import { LIVE_FOLLOW } from '../../../api/nouns/live.ts'
import { Live } from '../../../operations/live/live.ts'
import { allowedRequest } from '../checked.ts'
import type { ApiApp } from '../handler.ts'
import { writeEvents } from './stream.ts'

type Query = Readonly<{ after?: number; kinds?: never[]; jobs?: string[] }>

/** How often the token of a reader is checked again. */
const RECHECK_MS = 30_000

/** Adds the stream of events. */
export function liveRoutes(server: FastifyInstance, app: Pick<ApiApp, 'live'>): void {
  const open = new Set<{ close(): void }>()
  server.addHook('preClose', (done) => {
    for (const reader of open) reader.close()
    done()
  })
  server.get('/events', {
    config: { piko: { role: LIVE_FOLLOW.role, route: LIVE_FOLLOW } },
    handler: async (request, reply) => {
      const { query, headers } = await allowedRequest(LIVE_FOLLOW, request)
      const { after: since, ...filter } = query as Query
      const known = headers['last-event-id'] as number | string | undefined
      const reader = Live.reader(app.live, known === undefined ? since : Number(known))
      open.add(reader)
      // A token may be revoked or expire while its holder reads.
      const recheck = setInterval(() => void request.authenticate().catch(() => reader.close()), RECHECK_MS)
      void reply.hijack()
      const { raw } = reply
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store, no-transform',
        'x-accel-buffering': 'no',
        ...(request.raw.httpVersion === '1.1' && { connection: 'keep-alive' }),
      })
      raw.flushHeaders()
      try {
        await writeEvents(raw, reader, filter)
      } finally {
        clearInterval(recheck)
        open.delete(reader)
        reader.close()
        raw.destroy()
      }
    },
  })
}
