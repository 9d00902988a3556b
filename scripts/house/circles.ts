/** For each file, the files that it imports. */
export type ImportGraph = ReadonlyMap<string, readonly string[]>

/**
 * Groups of files that import each other in a cycle, each group sorted. Includes a file that imports itself. Finds strongly connected
 * components by Tarjan, "Depth-first search and linear graph algorithms" (1972).
 */
export function circlesOf(graph: ImportGraph): string[][] {
  const indexes = new Map<string, number>()
  const lows = new Map<string, number>()
  const stack: string[] = []
  const circles: string[][] = []
  const visit = (file: string): void => {
    const index = indexes.size
    indexes.set(file, index)
    lows.set(file, index)
    stack.push(file)
    for (const next of graph.get(file) ?? []) {
      if (!indexes.has(next)) visit(next)
      if (stack.includes(next)) lows.set(file, Math.min(lows.get(file) ?? index, lows.get(next) ?? index))
    }
    if (lows.get(file) !== index) return
    const members = stack.splice(stack.indexOf(file))
    if (members.length > 1 || graph.get(file)?.includes(file)) circles.push(members.sort())
  }
  for (const file of graph.keys()) if (!indexes.has(file)) visit(file)
  return circles.sort((a, b) => (a[0] ?? '').localeCompare(b[0] ?? ''))
}
