import type { FastifyInstance } from 'fastify'
import { LIVE_FOLLOW } from '../../../api/nouns/live.ts'
import { RUN_FOLLOW } from '../../../api/nouns/run-follow.ts'
import { Live } from '../../../operations/live/live.ts'
import type { LiveKind } from '../../../live/live-event.ts'
import type { FollowOptions } from '../../../operations/runs/follow-run.ts'
import { allowedRequest } from '../checked.ts'
import type { ApiApp } from '../handler.ts'
import { OpenStreams } from './open-streams.ts'
import { readableKinds } from './readable-kinds.ts'
import { writeRunNews } from './run-stream.ts'
import { writeEvents } from './stream.ts'

type EventsQuery = Readonly<{ after?: number; kinds?: LiveKind[]; jobs?: string[] }>

/** Adds the streams of server-sent events. */
export function liveRoutes(server: FastifyInstance, app: Pick<ApiApp, 'live' | 'runs'>): void {
  const streams = new OpenStreams(server)
  server.get('/events', {
    config: { piko: { role: LIVE_FOLLOW.role, route: LIVE_FOLLOW } },
    handler: async (request, reply) => {
      const { query, headers } = await allowedRequest(LIVE_FOLLOW, request)
      const { after, kinds, jobs } = query as EventsQuery
      const filter = { kinds: readableKinds(request.actor, kinds), jobs }
      const reader = Live.reader(app.live, lastId(headers) ?? after)
      await streams.serve(
        request,
        reply,
        () => reader.close(),
        (raw) => writeEvents(raw, reader, filter),
      )
    },
  })
  server.get('/runs/:runId/follow', {
    config: { piko: { role: RUN_FOLLOW.role, route: RUN_FOLLOW } },
    handler: async (request, reply) => {
      const { params, query, headers } = await allowedRequest(RUN_FOLLOW, request)
      const closing = new AbortController()
      const after = lastId(headers)
      const options: FollowOptions = { ...query, ...(after !== undefined && { after }), signal: closing.signal }
      const news = app.runs.follow(params['runId'] as number, options)
      // Read first, so that an unknown run is answered with a problem and not with a stream.
      const first = await news.next()
      await streams.serve(
        request,
        reply,
        () => closing.abort(),
        (raw) => writeRunNews(raw, first, news),
      )
    },
  })
}

function lastId(headers: Readonly<Record<string, unknown>>): number | undefined {
  const known = headers['last-event-id'] as number | string | undefined
  return known === undefined ? undefined : Number(known)
}
