import type { JobRegistry } from '../job/registry.ts'
import { dotText, mermaidText } from '../service/graph/graph-text.ts'

/** Jobs and their dependencies, as plain data. */
export interface JobGraph {
  readonly nodes: readonly { readonly id: string; readonly hasWindows: boolean }[]
  /** A dependency: the job `to` depends on the job `from`. */
  readonly edges: readonly { readonly from: string; readonly to: string }[]
}

export function jobGraph(registry: JobRegistry): JobGraph {
  const jobs = [...registry]
  return {
    nodes: jobs.map((job) => ({ id: job.id, hasWindows: job.policy.windows !== undefined })),
    edges: jobs.flatMap((job) => job.policy.dependsOn.map((from) => ({ from, to: job.id }))),
  }
}

/**
 * Returns the graph as Graphviz text. An edge leads from a job to a job that depends on it. Jobs with windows are boxes, the others ovals.
 */
export function jobsToDot({ nodes, edges }: JobGraph): string {
  return [
    'digraph jobs {',
    '  rankdir=LR',
    '  node [style=filled fillcolor="#e7f5ff" fontname="sans-serif"]',
    ...nodes.map(({ id, hasWindows }) => `  "${dotText(id)}" [shape=${hasWindows ? 'box' : 'oval'}]`),
    ...edges.map(({ from, to }) => `  "${dotText(from)}" -> "${dotText(to)}"`),
    '}',
    '',
  ].join('\n')
}

/** Returns the graph as Mermaid text, for documents and issues. */
export function jobsToMermaid({ nodes, edges }: JobGraph): string {
  const names = new Map(nodes.map(({ id }, index) => [id, `job${index}`]))
  return [
    'flowchart LR',
    ...nodes.map(({ id, hasWindows }) => {
      const label = `"${mermaidText(id)}"`
      return `  ${names.get(id)}${hasWindows ? `[${label}]` : `([${label}])`}`
    }),
    ...edges.map(({ from, to }) => `  ${names.get(from)} --> ${names.get(to)}`),
    '',
  ].join('\n')
}
