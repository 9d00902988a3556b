import type { FastifyInstance } from 'fastify'

export interface MetricsSource {
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>
}

/** Serves `/metrics`: metrics in the text format of Prometheus. `docs/metrics.md` lists them. */
export function metricsRoutes(server: FastifyInstance, source: MetricsSource): void {
  server.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await source.metrics()
    return reply.header('content-type', contentType).send(body)
  })
}
