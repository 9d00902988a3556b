export interface Edge {
  readonly from: string
  readonly to: string
}

/** The position of a job. Its column is to the right of the columns of all jobs on which it depends. */
export interface Spot {
  readonly id: string
  readonly column: number
  readonly row: number
}

const SWEEPS = 4

/** Places jobs in columns, upstream on the left, with few crossings. Pure. */
export function layout(ids: readonly string[], edges: readonly Edge[]): Spot[] {
  const columns = new Map<string, number>()
  const upstreams = Map.groupBy(edges, ({ to }) => to)
  const columnOf = (id: string, path: ReadonlySet<string>): number => {
    const known = columns.get(id)
    if (known !== undefined) return known
    // Jobs with circular dependencies cannot be registered, but must never make the page loop forever.
    const before = (upstreams.get(id) ?? []).filter(({ from }) => !path.has(from))
    const column = Math.max(0, ...before.map(({ from }) => 1 + columnOf(from, new Set([...path, id]))))
    columns.set(id, column)
    return column
  }
  for (const id of ids) columnOf(id, new Set())
  const groups = [...Map.groupBy(ids, (id) => columns.get(id) ?? 0)].sort(([one], [other]) => one - other)
  const rows = new Map<string, number>()
  for (const [, group] of groups) for (const [row, id] of group.toSorted().entries()) rows.set(id, row)
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const isForward = sweep % 2 === 0
    for (const [, group] of isForward ? groups : groups.toReversed()) {
      const middle = new Map(group.map((id) => [id, middleOf(id, edges, rows, isForward)]))
      const sorted = group.toSorted((one, other) => (middle.get(one) ?? 0) - (middle.get(other) ?? 0))
      for (const [row, id] of sorted.entries()) rows.set(id, row)
    }
  }
  return ids.map((id) => ({ id, column: columns.get(id) ?? 0, row: rows.get(id) ?? 0 }))
}

/** The mean row of a job's neighbours on one side; its own row if it has none. */
function middleOf(id: string, edges: readonly Edge[], rows: ReadonlyMap<string, number>, isForward: boolean): number {
  const near = edges.filter(({ from, to }) => (isForward ? to : from) === id)
  const places = near.map(({ from, to }) => rows.get(isForward ? from : to) ?? 0)
  if (places.length === 0) return rows.get(id) ?? 0
  return places.reduce((sum, row) => sum + row, 0) / places.length
}
