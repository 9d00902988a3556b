import { serviceInvalid } from './invalid.ts'

/** What the tree needs to know about a service. */
interface Named {
  readonly name: string
}

/** The place of a service in its tree: its parent, its children in order, and other services that it needs. */
export class ServiceTree<S extends Named> {
  readonly owner: S
  readonly #children: ServiceTree<S>[] = []
  readonly #dependencies = new Set<S>()
  #parent: ServiceTree<S> | undefined

  constructor(owner: S) {
    this.owner = owner
  }

  get parent(): S | undefined {
    return this.#parent?.owner
  }

  get children(): S[] {
    return this.#children.map(({ owner }) => owner)
  }

  get dependencies(): S[] {
    return [...this.#dependencies]
  }

  /** The distance from the root. The root has 0. */
  get depth(): number {
    return this.#parent ? this.#parent.depth + 1 : 0
  }

  /** The names from the root to this service: `Worker/App/Cache`. */
  get path(): string {
    return this.#parent ? `${this.#parent.path}/${this.owner.name}` : this.owner.name
  }

  needs(services: readonly S[]): void {
    for (const service of services) this.#dependencies.add(service)
  }

  /** Yields the service itself, then its parent, and so on up to the root. */
  *lineage(): Generator<S, void, undefined> {
    yield this.owner
    if (this.#parent) yield* this.#parent.lineage()
  }

  /** Returns the value of the nearest service that has one, from this one up to the root. */
  inherited<T>(own: (service: S) => T | undefined): T | undefined {
    for (const service of this.lineage()) {
      const value = own(service)
      if (value !== undefined) return value
    }
    return undefined
  }

  /** Adds a child service. @param index the child's position; default: after the other children */
  adopt(child: ServiceTree<S>, index = this.#children.length): void {
    if (child.#parent) {
      throw serviceInvalid(
        this.path,
        `${child.path} was added but already has a parent; remove it there, or add a new one`,
      )
    }
    for (const service of this.lineage()) {
      if (service === child.owner) throw serviceInvalid(this.path, `${child.owner.name} was added below itself`)
    }
    child.#parent = this
    this.#children.splice(index, 0, child)
  }

  release(child: ServiceTree<S>): void {
    this.#children.splice(this.#children.indexOf(child), 1)
    child.#parent = undefined
  }

  /** Replaces a child with a successor. */
  replace(child: ServiceTree<S>, successor: ServiceTree<S>): void {
    const index = this.#children.indexOf(child)
    this.release(child)
    this.adopt(successor, index)
  }
}
