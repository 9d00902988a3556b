// An HTTP and WebSocket server as a service of an app: pages, JSON, static files, echo, and a broadcast that cuts off slow readers.
import { fastify } from 'fastify'
import fastifyStatic from '@fastify/static'
import { defineJob, Piko } from 'piko'
import { pikoRoutes, serveRoutes, sockets } from 'piko/http'
import { answer, defineRoutes } from 'piko/link'
import { Service } from 'piko/service'
import { z } from 'zod'

/** Echoes each message. A client with more than 1 MB that it has not read is cut off. */
const clients = sockets({ path: '/ws', onMessage: (message, client) => client.send(message), maxBuffered: 1_048_576 })

const api = defineRoutes({
  prefix: '/api',
  use: [
    async ({ path }, next) => {
      const began = performance.now()
      const result = await next()
      console.log(`${path} took ${(performance.now() - began).toFixed(1)} ms`)
      return result
    },
  ],
  onError: (error) => ({ status: 422, body: { problem: (error as Error).message } }),
})
  .on('/status', { method: 'GET' }, () => ({ connections: clients.size, rss: process.memoryUsage.rss() }))
  .on('/data', { in: z.object({ message: z.string() }) }, async ({ body }) => {
    if (body.message === '') throw new Error('nothing to say')
    const run = await app.run('announce', { input: body, wait: true })
    return answer(201, { run: run.id, reached: run.output })
  })

/** Whatever the server receives becomes a run, so it has a history, retries and limits. */
const announce = defineJob({ id: 'announce', input: z.object({ message: z.string() }) }, async ({ input, runId }) =>
  clients.broadcast({ run: runId, ...input }),
)

class Web extends Service {
  protected override async onStart(): Promise<void> {
    const server = fastify({ forceCloseConnections: true })
    this.defer(() => server.close())
    server.get('/', async (_request, reply) => reply.type('text/html').send('<h1>It works</h1>'))
    await server.register(serveRoutes(api))
    await server.register(clients.plugin)
    const root = new URL('server/static', import.meta.url)
    await server.register(fastifyStatic, { root, prefix: '/static/', dotfiles: 'ignore' })
    await server.register(pikoRoutes, { app, prefix: '/piko' })
    console.log(`listening on ${await server.listen({ port: Number(process.env['PORT'] ?? 8_080) })}`)
  }
}

const app = new Piko({ jobs: [announce], services: [Web] })
await app.start()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void app.stop())
