import { headline, propertyOf } from '../../errors-read.ts'
import { describe, PikoError, toError } from '../../errors.ts'
import { nearestName } from '../../options.ts'
import { type GraphEdge, type GraphNode, serviceGraph } from '../../service/graph/graph.ts'
import type { Service } from '../../service/service.ts'
import { Supervisor } from '../../service/supervisor.ts'

/** A service of a process. */
export interface ListedService extends GraphNode {
  /** The names from the root to this service: `Piko/Feeds/Prices`. */
  readonly path: string
  /** Whether `restart` may restart the service. It may restart only an app's own services that are directly below a supervisor. */
  readonly canRestart: boolean
}

/** The services of a process and their relations: which service contains or needs which other one. */
export interface ListedTree {
  readonly nodes: readonly ListedService[]
  readonly edges: readonly GraphEdge[]
}

/** A service after a request to restart it. */
export interface RestartedService {
  readonly service: string
  /**
   * `running` if the restart has succeeded within a few seconds; a slower restart continues in the background. `stopping` for an HTTP
   * server, which restarts after the answer.
   */
  readonly state: string
  readonly restarts: number
  /** Why the service could not start again. Its supervisor tries again. */
  readonly problem?: string
}

/** A caller gets an answer after this time, even if the restart continues. */
const ANSWER_MS = 3_000
/** A server waits this long before its restart, so that its answer to the request arrives. */
const ANSWER_FIRST_MS = 200

/** The services of this process, for requests of operators here and on other nodes. */
export class LocalServices {
  readonly #root: () => Service
  readonly #users: ReadonlySet<Service>

  /** @param users the app's own services. The others are parts of Piko */
  constructor(root: () => Service, users: ReadonlySet<Service>) {
    this.#root = root
    this.#users = users
  }

  get tree(): ListedTree {
    const byId = new Map(below(this.#root()).map((service) => [service.id, service]))
    const { nodes, edges } = serviceGraph(this.#root())
    return {
      nodes: nodes.map((node) => {
        const service = byId.get(node.id)
        return {
          ...node,
          path: service?.path ?? node.name,
          canRestart: service !== undefined && this.#canRestart(service),
        }
      }),
      edges,
    }
  }

  /** Whether the app has services of its own. */
  get hasUsers(): boolean {
    return this.#users.size > 0
  }

  /**
   * Restarts a service, and waits a few seconds for it.
   *
   * @param name its path, or its name if no other service has it
   * @throws PikoError `SERVICE_UNKNOWN` if there is no such service, `USAGE` if it can't be restarted or several have this name
   */
  async restart(name: string): Promise<RestartedService> {
    const service = this.#one(name)
    const { parent } = service
    if (!(parent instanceof Supervisor) || !this.#canRestart(service)) throw this.#refusal(service)
    if (below(service).some((one) => propertyOf(one, 'answersRequests') === true)) {
      // The request may have come through the server that restarts, and the restart ends its connections. So the caller gets the answer
      // first.
      void service.clock
        .sleep(ANSWER_FIRST_MS, parent.signal)
        .then(() => parent.restartChild(service))
        .catch(() => {})
      return { service: service.path, state: 'stopping', restarts: service.restarts }
    }
    let problem: string | undefined
    const restarted = parent
      .restartChild(service)
      .catch((thrown: unknown) => void (problem = headline(toError(thrown))))
    const answer = new AbortController()
    await Promise.race([restarted, service.clock.sleep(ANSWER_MS, answer.signal)])
    answer.abort()
    const now = this.#named(service.path)[0] ?? service
    return { service: now.path, state: now.state, restarts: now.restarts, ...(problem !== undefined && { problem }) }
  }

  #named(name: string): readonly Service[] {
    const all = below(this.#root())
    const exact = all.filter(({ path }) => path === name)
    return exact.length > 0 ? exact : all.filter((service) => service.name === name)
  }

  #one(name: string): Service {
    const [found, ...others] = this.#named(name)
    if (found && others.length === 0) return found
    if (!found)
      throw unknownService(
        name,
        below(this.#root()).flatMap((service) => (this.#canRestart(service) ? service.path : [])),
      )
    const paths = [found, ...others].map(({ path }) => path)
    throw new PikoError(
      'USAGE',
      `${describe(name)} is the name of ${paths.length} services; name one by its path: ${paths.join(', ')}`,
      {
        details: { service: name, paths },
      },
    )
  }

  #canRestart(service: Service): boolean {
    return service.parent instanceof Supervisor && this.#isUsers(service)
  }

  #isUsers(service: Service): boolean {
    return this.#users.has(service) || (service.parent !== undefined && this.#isUsers(service.parent))
  }

  #refusal(service: Service): PikoError {
    const { path, parent } = service
    const why = !this.#isUsers(service)
      ? 'is a part of Piko; drain the node, and restart its process instead'
      : `has no supervisor; restart ${describe(parent?.path ?? path)} instead, or put it below a Supervisor`
    return new PikoError('USAGE', `service ${describe(path)} ${why}`, { details: { service: path } })
  }
}

export function unknownService(name: string, known: readonly string[]): PikoError {
  const nearest = nearestName(name, known)
  const hint = nearest === undefined ? 'piko services list shows them' : `did you mean ${describe(nearest)}?`
  return new PikoError('SERVICE_UNKNOWN', `no service has the path or the name ${describe(name)}; ${hint}`, {
    details: { service: name },
  })
}

/** Returns a service and all services below it. */
function below(service: Service): Service[] {
  return [service, ...service.children.flatMap(below)]
}
