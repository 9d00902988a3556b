import type { FastifyInstance, FastifyReply } from 'fastify'
import { isPikoError } from '../errors.ts'
import { type ServiceGraph, toDot, toMermaid } from '../service/graph/graph.ts'
import { SvgPictures } from './svg-pictures.ts'

export interface GraphSource {
  /** The tree to draw. */
  services(): ServiceGraph | Promise<ServiceGraph>
}

const TYPES = {
  svg: 'image/svg+xml',
  dot: 'text/vnd.graphviz; charset=utf-8',
  mermaid: 'text/plain; charset=utf-8',
  json: 'application/json; charset=utf-8',
} as const

/**
 * Serves `/graph?format=svg|dot|mermaid|json`: the live tree of services. The default is SVG, or Mermaid if the optional package that draws
 * SVG is not installed.
 */
export function graphRoutes(server: FastifyInstance, source: GraphSource, pictures = new SvgPictures()): void {
  const querystring = { type: 'object', properties: { format: { enum: Object.keys(TYPES) } } }
  server.get<{ Querystring: { format?: keyof typeof TYPES } }>(
    '/graph',
    { schema: { querystring } },
    async (request, reply) => {
      const { format } = request.query
      const { nodes, edges } = await source.services()
      const graph = { nodes, edges }
      if (format === undefined) return drawnOrText(graph, pictures, reply)
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

async function drawnOrText(graph: ServiceGraph, pictures: SvgPictures, reply: FastifyReply): Promise<string> {
  try {
    const svg = await pictures.of(toDot(graph))
    void reply.type(TYPES.svg)
    return svg
  } catch (error) {
    if (!isPikoError(error, 'PACKAGE_MISSING')) throw error
    void reply.type(TYPES.mermaid)
    return `%% ${error.message}\n${toMermaid(graph)}`
  }
}
