import { hostname } from 'node:os'
import { describe, PikoError, toError } from '../errors.ts'
import { messageOf } from '../errors-read.ts'
import { nearestName } from '../options.ts'
import {
  type ListedService,
  type ListedTree,
  type LocalServices,
  type RestartedService,
  unknownService,
} from '../engine/fleet/local-services.ts'
import { optionsOf } from './call-options.ts'
import type { ServiceChoice, ServiceFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'

/** The services of one process. */
export interface ServiceTree extends ListedTree {
  /** The id of the node; undefined for a process that executes no runs. */
  readonly nodeId: string | undefined
  readonly host: string
}

/** A service of the fleet. */
export interface FleetService extends Omit<ListedService, 'id'> {
  readonly nodeId: string | undefined
  readonly host: string
}

/** A service after a request to restart it, on one node. */
export interface ServiceRestart extends Omit<RestartedService, 'restarts'> {
  readonly nodeId: string | undefined
  readonly host: string
  /**
   * How many times the service was restarted. Undefined if the node could not be asked: then `state` is `unknown`, and `problem` says why.
   */
  readonly restarts?: number
}

/** A process with services: this one, or a live node. */
interface Place {
  readonly nodeId: string | undefined
  readonly host: string
  tree(): Promise<ListedTree>
  restart(service: string): Promise<RestartedService>
}

type ServicesReach = Pick<Reach, 'store' | 'fleet'>

/** The services of this process and of all nodes: `app.services`. Other nodes are asked over their links. */
export class Services {
  readonly #reach: () => ServicesReach
  readonly #here: () => LocalServices

  /** @param here the services of this process, even while it starts */
  constructor(reach: () => ServicesReach, here: () => LocalServices) {
    this.#reach = reach
    this.#here = here
  }

  /**
   * Returns the services of one process, with their states and their dependencies.
   *
   * @param choice.on the id of a node, or a host with one node. Default: this process
   * @throws PikoError `USAGE` if there is no such node or the host has several, `LINK_UNREACHABLE`
   */
  async tree(choice: ServiceChoice = {}): Promise<ServiceTree> {
    const { on } = optionsOf('services.tree', choice)
    if (on === undefined) return { nodeId: undefined, host: hostname(), ...this.#here().tree, ...this.#ownId() }
    const [place, ...others] = await this.#places('services.tree', on)
    if (!place || others.length > 0) {
      const ids = [place, ...others].map((one) => one?.nodeId).join(', ')
      throw new PikoError('USAGE', `app.services.tree: host ${describe(on)} has several nodes; name one: ${ids}`, {
        details: { on },
      })
    }
    return { nodeId: place.nodeId, host: place.host, ...(await place.tree()) }
  }

  /**
   * Lists the services of this process and of all live nodes, node by node. Leaves out nodes that can't be reached, unless `on` names them.
   *
   * @throws PikoError `USAGE` if there is no such node, `LINK_UNREACHABLE`
   */
  async list(filter: ServiceFilter = {}): Promise<FleetService[]> {
    const { on, service } = optionsOf('services.list', filter)
    const places = await this.#places('services.list', on)
    const trees = await Promise.all(places.map((place) => (on === undefined ? orNone(place.tree()) : place.tree())))
    return places.flatMap(({ nodeId, host }, index) =>
      (trees[index]?.nodes ?? [])
        .filter(({ path, name }) => service === undefined || path === service || name === service)
        .map(({ id: _id, ...node }) => ({ nodeId, host, ...node })),
    )
  }

  /**
   * Restarts a service of your own that has a supervisor: it stops, and starts again, as after a crash. Without `on`, restarts it on this
   * process and on every live node that has it, one node after another. Waits up to 3 s on each node.
   *
   * @param service its path, such as `Piko/Prices`, or its name
   * @throws PikoError `SERVICE_UNKNOWN`, `USAGE` for a part of Piko or a service without a supervisor, `LINK_UNREACHABLE`
   * @example
   * await app.services.restart('Prices', { on: 'worker-3' })
   */
  async restart(service: string, options: ServiceChoice = {}): Promise<ServiceRestart[]> {
    const { on } = optionsOf('services.restart', options)
    if (typeof service !== 'string')
      throw new PikoError(
        'USAGE',
        `the service is ${describe(service)}; expected its path or its name, such as "Prices"`,
      )
    const places = await this.#places('services.restart', on)
    const known: string[] = []
    const results: ServiceRestart[] = []
    const failures: Error[] = []
    for (const place of places) {
      const { nodeId, host } = place
      try {
        const { nodes } = await place.tree()
        known.push(...nodes.flatMap(({ path, canRestart }) => (canRestart ? [path] : [])))
        if (!nodes.some(({ path, name }) => path === service || name === service)) continue
        results.push({ nodeId, host, ...(await place.restart(service)) })
      } catch (error) {
        failures.push(toError(error))
        results.push({ nodeId, host, service, state: 'unknown', problem: messageOf(error) })
      }
    }
    // If no process has restarted the service, the request is refused.
    if (results.length === failures.length) throw failures[0] ?? unknownService(service, [...new Set(known)])
    return results
  }

  #ownId(): { readonly nodeId?: string } {
    const nodeId = this.#reachNow()?.fleet.nodeId()
    return nodeId === undefined ? {} : { nodeId }
  }

  /** Returns what operations may use; undefined while the app starts. */
  #reachNow(): ServicesReach | undefined {
    try {
      return this.#reach()
    } catch {
      return undefined
    }
  }

  /**
   * Returns the live nodes, and this process if it is a node or has its own services. With `on`, returns only those that it names.
   * @throws PikoError `USAGE`
   */
  async #places(call: string, on: string | undefined): Promise<Place[]> {
    const { store, fleet } = this.#reach()
    const own = fleet.nodeId()
    const here = this.#here()
    const local: Place = {
      ...{ nodeId: own, host: hostname() },
      tree: () => Promise.resolve(here.tree),
      restart: (service) => here.restart(service),
    }
    const rows = (await store.nodes.overview()).filter(({ isLive }) => isLive)
    const others = rows.filter(({ id }) => id !== own)
    const remote = others.map(({ id, host }): Place => ({
      ...{ nodeId: id, host },
      tree: () => fleet.tree(id, host),
      restart: (service) => fleet.restart(id, host, service),
    }))
    // A process that is not a node and has no services of its own, such as that of a CLI command, is left out.
    if (on === undefined) return own === undefined && !here.hasUsers ? remote : [local, ...remote]
    const named = [local, ...remote].filter(
      ({ nodeId, host }) => nodeId !== undefined && (nodeId === on || host === on),
    )
    if (named.length > 0) return named
    const nearest = nearestName(on, [...new Set(rows.flatMap(({ id, host }) => [host, id]))])
    const hint = nearest === undefined ? 'piko nodes list shows them' : `did you mean ${describe(nearest)}?`
    throw new PikoError('USAGE', `app.${call}: no live node has the id or the host ${describe(on)}; ${hint}`, {
      details: { on },
    })
  }
}

async function orNone(tree: Promise<ListedTree>): Promise<ListedTree | undefined> {
  try {
    return await tree
  } catch {
    return undefined
  }
}
