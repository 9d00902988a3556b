import { describe, propertyOf } from '../errors-read.ts'
import type { PikoError } from '../errors.ts'
import { Service } from '../service/service.ts'
import { readResource, resourceInvalid, type ResourceOptions } from './resource-options.ts'
import type { ResourceClass, ResourceMap, ResourceScope, ServiceClass } from './resource.ts'

/** A resource class, and the resources that it needs. Their indexes are smaller than its own. */
export interface ResourceNode {
  readonly resourceClass: ResourceClass
  readonly options: ResourceOptions
  readonly index: number
  readonly needs: readonly Need[]
}

/** An entry of a resource map. */
export type Need = readonly [key: string, source: ResourceNode | ServiceClass]

/**
 * The lifetimes of scopes as numbers. A resource may only need resources with the same or a larger number, because these exist at least as
 * long.
 */
const LIFE: Readonly<Record<ResourceScope, number>> = { attempt: 0, run: 1, process: 2 }

/** The resource classes of a process. Each comes after those that it needs. */
export class ResourceGraph {
  readonly #nodes = new Map<ResourceClass, ResourceNode>()
  readonly #names = new Set<string>()

  get nodes(): readonly ResourceNode[] {
    return [...this.#nodes.values()]
  }

  /**
   * Returns the resources that a map of names contains, with their options checked.
   *
   * @throws PikoError `RESOURCE_INVALID` for a value that is not a class, wrong options, a cycle, or a resource that needs one with a
   * shorter lifetime
   */
  needsOf(map: ResourceMap): Need[] {
    return this.#needs(map, [])
  }

  #needs(map: ResourceMap, path: readonly ResourceClass[]): Need[] {
    return Object.entries(map).map(([key, source]) => [
      key,
      isService(source) ? source : this.#node(key, source as ResourceClass, path),
    ])
  }

  #node(key: string, resourceClass: ResourceClass, path: readonly ResourceClass[]): ResourceNode {
    const known = this.#nodes.get(resourceClass)
    if (known) return known
    if (typeof resourceClass !== 'function') {
      throw resourceInvalid(key, [
        `it is ${describe(resourceClass)}; expected a subclass of Resource, or a class that defineResource returned`,
      ])
    }
    const at = path.indexOf(resourceClass)
    if (at >= 0) throw cycle([...path.slice(at), resourceClass])
    const options = readResource(resourceClass, nameOf(resourceClass, key))
    const needs = this.#needs(options.needs, [...path, resourceClass])
    assertLives(options, needs)
    const name = this.#uniqueName(options.name)
    const node = { resourceClass, options: { ...options, name }, index: this.#nodes.size, needs }
    this.#nodes.set(resourceClass, node)
    return node
  }

  /** Returns a unique name: two classes may have the same name, but lists and metrics must distinguish them. */
  #uniqueName(name: string): string {
    let unique = name
    for (let count = 2; this.#names.has(unique); count++) unique = `${name} (${count})`
    this.#names.add(unique)
    return unique
  }
}

export function isService(source: unknown): source is ServiceClass {
  return propertyOf(source, 'prototype') instanceof Service
}

export function isNode(source: Need[1]): source is ResourceNode {
  return typeof source === 'object'
}

function nameOf(resourceClass: ResourceClass, key: string): string {
  const name = propertyOf(resourceClass, 'name')
  return typeof name === 'string' && name !== '' ? name : key
}

function cycle(classes: readonly ResourceClass[]): PikoError {
  const names = classes.map((one) => nameOf(one, '(anonymous)'))
  return resourceInvalid(names[0], [
    `it needs itself: ${names.join(' → ')}; remove one of these entries of the option resources`,
  ])
}

function assertLives({ name, scope }: ResourceOptions, needs: readonly Need[]): void {
  const problems = needs.flatMap(([key, need]) => {
    if (!isNode(need) || LIFE[need.options.scope] >= LIFE[scope]) return []
    const words = `its scope is "${scope}", and it needs ${need.options.name} as ${key}, whose scope is "${need.options.scope}"`
    return `${words}; it can only need resources that live at least as long`
  })
  if (problems.length > 0) throw resourceInvalid(name, problems)
}
