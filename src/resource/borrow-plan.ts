import type { PikoError } from '../errors.ts'
import { resourceInvalid } from './resource-options.ts'
import { isNode, type Need, type ResourceNode } from './resource-graph.ts'
import type { ServiceClass } from './resource.ts'

/** Where a named value comes from: the index of a value in the plan, or a service. */
export type Source = number | ServiceClass

/** One value that an attempt borrows. */
export interface PlannedValue {
  readonly node: ResourceNode
  /** The values of `ctx.resources`, by name. */
  readonly needs: readonly (readonly [key: string, source: Source])[]
  /**
   * Whether the value may be kept after the attempt: its scope is `run`, or it is a shared value that a value with the scope `run` needs.
   */
  readonly isKept: boolean
}

/** The values that an attempt borrows for one map. */
export interface BorrowPlan {
  /**
   * The values in the order in which they are acquired: each comes after the values that it needs. The order is the same for all attempts
   * in the process.
   */
  readonly values: readonly PlannedValue[]
  /** The map's own names. */
  readonly names: readonly (readonly [key: string, source: Source])[]
  /** The number of values of each resource. */
  readonly demands: ReadonlyMap<ResourceNode, number>
}

/**
 * Plans what an attempt borrows. Pure.
 *
 * If a map names a resource twice, the attempt gets two values. Everything else is shared: a resource that needs `Db` gets the same value
 * as the map itself. The second value of a resource uses the second values of the resources that it needs.
 *
 * @throws PikoError `RESOURCE_INVALID` if the attempt borrows more values of a resource than its size
 */
export function planBorrow(entries: readonly Need[]): BorrowPlan {
  const demands = demandsOf(entries)
  const starts = new Map<ResourceNode, number>()
  const values: PlannedValue[] = []
  const kept = keptOf(demands.keys())
  for (const [node, demand] of demands) {
    starts.set(node, values.length)
    for (let ordinal = 0; ordinal < demand; ordinal++) {
      const needs = isShared(node) ? [] : sourcesOf(node.needs, ordinal, starts)
      values.push({ node, needs, isKept: kept.has(node) })
    }
  }
  for (const [node, demand] of demands) if (demand > node.options.size) throw tooSmall(node, demand, values)
  return { values, names: sourcesOf(entries, 0, starts), demands }
}

/** Whether all runs share the resource's value. What such a value needs is borrowed by the opened instance and not by the run. */
function isShared({ options }: ResourceNode): boolean {
  return options.scope === 'process'
}

function keptOf(nodes: Iterable<ResourceNode>): Set<ResourceNode> {
  const runs = [...nodes].filter(({ options }) => options.scope === 'run')
  const needs = runs.flatMap((node) => node.needs.flatMap(([, need]) => (isNode(need) ? [need] : [])))
  return new Set([...runs, ...needs])
}

/** Returns how many values of each resource are needed, ordered by index. */
function demandsOf(entries: readonly Need[]): Map<ResourceNode, number> {
  const demands = new Map<ResourceNode, number>()
  const demand = (needs: readonly Need[], users: number): void => {
    for (const [node, count] of countsOf(needs)) {
      demands.set(node, isShared(node) ? 1 : Math.max(demands.get(node) ?? 0, users * count))
    }
  }
  demand(entries, 1)
  // A resource has a larger index than the resources that it needs. So its demand is complete when it is processed.
  const reached = [...reachable(entries)].sort((a, b) => b.index - a.index)
  for (const node of reached) if (!isShared(node)) demand(node.needs, demands.get(node) ?? 0)
  return new Map([...demands].sort(([a], [b]) => a.index - b.index))
}

function reachable(needs: readonly Need[], found = new Set<ResourceNode>()): Set<ResourceNode> {
  for (const [, node] of needs) {
    if (!isNode(node) || found.has(node)) continue
    found.add(node)
    if (!isShared(node)) reachable(node.needs, found)
  }
  return found
}

function countsOf(needs: readonly Need[]): Map<ResourceNode, number> {
  const counts = new Map<ResourceNode, number>()
  for (const [, node] of needs) if (isNode(node)) counts.set(node, (counts.get(node) ?? 0) + 1)
  return counts
}

/**
 * Returns the values that one value of a resource needs.
 *
 * @param ordinal the index of the value among all planned values of the resource
 */
function sourcesOf(
  needs: readonly Need[],
  ordinal: number,
  starts: ReadonlyMap<ResourceNode, number>,
): PlannedValue['needs'] {
  const counts = countsOf(needs)
  const seen = new Map<ResourceNode, number>()
  return needs.map(([key, node]) => {
    if (!isNode(node)) return [key, node]
    const nth = seen.get(node) ?? 0
    seen.set(node, nth + 1)
    const place = isShared(node) ? 0 : ordinal * (counts.get(node) ?? 1) + nth
    return [key, (starts.get(node) ?? 0) + place]
  })
}

function tooSmall({ options, index }: ResourceNode, demand: number, values: readonly PlannedValue[]): PikoError {
  const { name, size } = options
  const users = new Set(
    values.flatMap(({ node, needs }) =>
      needs.some(([, source]) => typeof source === 'number' && values[source]?.node.index === index)
        ? [node.options.name]
        : [],
    ),
  )
  const through = users.size > 0 ? `, also through ${[...users].join(', ')}` : ''
  return resourceInvalid(name, [
    `one run borrows ${demand} of it at the same time${through}, and its size is ${size}; expected a size of at least ${demand}`,
  ])
}
