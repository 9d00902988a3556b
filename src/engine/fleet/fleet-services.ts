import { describe, type ErrorCode, PikoError } from '../../errors.ts'
import type { Link } from '../../link/link.ts'
import type { ListedTree, RestartedService } from './local-services.ts'
import type { NodeLink } from './node-link.ts'

/** The answer of a node. A reply of a link has no error codes of its own, so a refusal is a value. */
export type RestartAnswer =
  | RestartedService
  | { readonly refused: { readonly code: ErrorCode; readonly message: string } }

/** Lists and restarts services on other nodes, over links. */
export class FleetServices {
  readonly #link: Pick<NodeLink, 'to'>
  readonly #nodeId: () => string | undefined

  /** @param nodeId the id of this node; undefined if this process executes no runs */
  constructor(link: Pick<NodeLink, 'to'>, nodeId: () => string | undefined) {
    this.#link = link
    this.#nodeId = nodeId
  }

  nodeId(): string | undefined {
    return this.#nodeId()
  }

  /** Returns the services of a node. @throws PikoError `LINK_*` */
  async tree(nodeId: string, host: string): Promise<ListedTree> {
    const link = await this.#to(nodeId, host)
    return (await link.call('/piko/services/tree', undefined, { timeout: '5s' })) as ListedTree
  }

  /** Restarts a service of a node. @throws PikoError `SERVICE_UNKNOWN`, `USAGE`, `LINK_*` */
  async restart(nodeId: string, host: string, service: string): Promise<RestartedService> {
    const link = await this.#to(nodeId, host)
    const answer = (await link.call('/piko/services/restart', { service }, { timeout: '10s' })) as RestartAnswer
    if (!('refused' in answer)) return answer
    throw new PikoError(answer.refused.code, answer.refused.message, { details: { service, nodeId } })
  }

  async #to(nodeId: string, host: string): Promise<Link> {
    const link = await this.#link.to(nodeId)
    if (link) return link
    throw new PikoError(
      'LINK_UNREACHABLE',
      `node ${nodeId} on ${describe(host)} can't be asked: it has no link that this process reaches; set [link] listen, secret and TLS on it, or ask it over its own address`,
      { details: { nodeId, host } },
    )
  }
}
