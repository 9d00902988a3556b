import { dotText, mermaidText } from './graph-text.ts'
import type { Service } from '../service.ts'
import type { ServiceState } from '../service-state.ts'

export interface GraphNode {
  /** The id of the service. It is unique, even among services of the same class. */
  readonly id: string
  readonly name: string
  readonly state: ServiceState
  readonly restarts: number
  readonly kind: Service['kind']
}

export interface GraphEdge {
  readonly from: string
  readonly to: string
  readonly kind: 'child' | 'depends'
}

/** A service tree at one moment, as plain data. */
export interface ServiceGraph {
  readonly nodes: readonly GraphNode[]
  readonly edges: readonly GraphEdge[]
}

/** Returns the tree below `root`, and the dependencies of its services, even those outside of the tree. */
export function serviceGraph(root: Service): ServiceGraph {
  const nodes = new Map<string, GraphNode>()
  const edges: GraphEdge[] = []
  const add = ({ id, name, state, restarts, kind }: Service): void => {
    nodes.set(id, { id, name, state, restarts, kind })
  }
  const visit = (service: Service): void => {
    add(service)
    for (const child of service.children) {
      edges.push({ from: service.id, to: child.id, kind: 'child' })
      visit(child)
    }
  }
  visit(root)
  const addDependencies = (service: Service): void => {
    for (const dependency of service.dependencies) {
      if (!nodes.has(dependency.id)) add(dependency)
      edges.push({ from: service.id, to: dependency.id, kind: 'depends' })
    }
    service.children.forEach(addDependencies)
  }
  addDependencies(root)
  return { nodes: [...nodes.values()], edges }
}

const FILL: Readonly<Record<ServiceState, string>> = {
  init: '#eeeeee',
  starting: '#fff3bf',
  running: '#d3f9d8',
  stopping: '#ffe8cc',
  stopped: '#dee2e6',
  crashed: '#ffc9c9',
}

/**
 * Returns the graph as Graphviz text. Edges to children are solid, edges to dependencies are dashed. Supervisors and workers have a
 * different shape.
 */
export function toDot(graph: ServiceGraph): string {
  const shapes = { service: 'box', supervisor: 'octagon', worker: 'house' } as const
  return [
    'digraph services {',
    '  node [style=filled fontname="sans-serif"]',
    ...graph.nodes.map((node) => {
      const label = [node.name, stateText(node)].map(dotText).join('\\n')
      return `  "${node.id}" [label="${label}" shape=${shapes[node.kind]} fillcolor="${FILL[node.state]}"]`
    }),
    ...graph.edges.map((edge) => `  "${edge.from}" -> "${edge.to}"${edge.kind === 'depends' ? ' [style=dashed]' : ''}`),
    '}',
    '',
  ].join('\n')
}

/** Returns the graph as Mermaid text, for documents and issues. */
export function toMermaid(graph: ServiceGraph): string {
  const shapes = { service: ['[', ']'], supervisor: ['{{', '}}'], worker: ['([', '])'] } as const
  const states = [...new Set(graph.nodes.map((node) => node.state))]
  return [
    'flowchart TD',
    ...graph.nodes.map((node) => {
      const [open, close] = shapes[node.kind]
      const label = [node.name, stateText(node)].map(mermaidText).join('<br/>')
      return `  ${node.id}${open}"${label}"${close}:::${node.state}`
    }),
    ...graph.edges.map((edge) => `  ${edge.from} ${edge.kind === 'depends' ? '-.->' : '-->'} ${edge.to}`),
    ...states.map((state) => `  classDef ${state} fill:${FILL[state]},stroke:#495057,color:#212529`),
    '',
  ].join('\n')
}

function stateText({ state, restarts }: GraphNode): string {
  if (restarts === 0) return state
  return `${state}, ${restarts} ${restarts === 1 ? 'restart' : 'restarts'}`
}
