import { type FastifyInstance } from 'fastify'
import { serviceGraph, toDot, toMermaid } from '../service/graph/graph.ts'
import { type Service } from '../service/service.ts'
import { SvgPictures } from './svg-pictures.ts'

export interface GraphSource {
  /** The root of the tree that is drawn. */
  services(): Service
}

const TYPES = {
  svg: 'image/svg+xml',
  dot: 'text/vnd.graphviz; charset=utf-8',
  mermaid: 'text/plain; charset=utf-8',
  json: 'application/json; charset=utf-8',
} as const

/** `/graph?format=svg|dot|mermaid|json`: the live tree of services; SVG by default. */
export function graphRoutes(server: FastifyInstance, source: GraphSource): void {
  const pictures = new SvgPictures()
  const querystring = { type: 'object', properties: { format: { enum: Object.keys(TYPES) } } }
  server.get<{ Querystring: { format?: keyof typeof TYPES } }>(
    '/graph',
    { schema: { querystring } },
    async (request, reply) => {
      const { format = 'svg' } = request.query
      const graph = serviceGraph(source.services())
      void reply.type(TYPES[format])
      switch (format) {
        case 'dot':
          return toDot(graph)
        case 'mermaid':
          return toMermaid(graph)
        case 'json':
          return graph
        case 'svg':
          return pictures.of(toDot(graph))
      }
    },
  )
}
