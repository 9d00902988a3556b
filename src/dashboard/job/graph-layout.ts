export interface Edge {
  readonly from: string
  readonly to: string
}

/** The position of a job in the drawing. It is to the right of all its upstream jobs. */
export interface Spot {
  readonly id: string
  readonly column: number
  readonly row: number
}

const SWEEPS = 4

/** Places jobs in columns, with upstream jobs on the left and few crossing lines. Pure. */
export function layout(ids: readonly string[], edges: readonly Edge[]): Spot[] {
  const columns = new Map<string, number>()
  const upstreams = Map.groupBy(edges, ({ to }) => to)
  const columnOf = (id: string, path: ReadonlySet<string>): number => {
    const known = columns.get(id)
    if (known !== undefined) return known
    // Jobs with circular dependencies can't be registered, but if they exist, the page must not loop forever.
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

/** Returns the mean row of a job's neighbours on one side, or its own row if it has none there. */
function middleOf(id: string, edges: readonly Edge[], rows: ReadonlyMap<string, number>, isForward: boolean): number {
  const near = edges.filter(({ from, to }) => (isForward ? to : from) === id)
  const places = near.map(({ from, to }) => rows.get(isForward ? from : to) ?? 0)
  if (places.length === 0) return rows.get(id) ?? 0
  return places.reduce((sum, row) => sum + row, 0) / places.length
}
