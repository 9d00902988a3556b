import { deserialize } from 'node:v8'
import { isPikoError } from '../../errors.ts'
import type { FleetAnswer, FleetCall, FleetNodes } from '../../offload/fleet/fleet.ts'
import { reviveError, type TransferredError } from '../../offload/error-transfer.ts'
import type { NodeLink } from './node-link.ts'

/** The maximum number of other nodes that are asked for free threads at the same time. */
const MAX_ASKED = 20
const LEVEL = 2

/** A node's answer to an offloaded call from another node. */
export type OffloadAnswer =
  | Exclude<FleetAnswer, { kind: 'error' | 'lost' }>
  | { readonly kind: 'error'; readonly error: TransferredError }

/** Runs offloaded calls on the threads of other nodes, over links. */
export class FleetOffload implements FleetNodes {
  readonly #link: Pick<NodeLink, 'to' | 'reachable'>
  readonly #nodeId: () => string

  constructor(link: Pick<NodeLink, 'to' | 'reachable'>, nodeId: () => string) {
    this.#link = link
    this.#nodeId = nodeId
  }

  async look(pool: string): Promise<{ readonly id: string; readonly free: number }[]> {
    const rows = (await this.#link.reachable()).filter(({ id }) => id !== this.#nodeId())
    const from = Math.floor(Math.random() * rows.length)
    const asked = [...rows.slice(from), ...rows.slice(0, from)].slice(0, MAX_ASKED)
    const found = await Promise.allSettled(
      asked.map(async ({ id }) => {
        const link = await this.#link.to(id)
        const free = await link?.call('/piko/offload/free', { pool }, { timeout: '1s' })
        return { id, free: typeof free === 'number' ? free : 0 }
      }),
    )
    return found.flatMap((one) => (one.status === 'fulfilled' && one.value.free > 0 ? [one.value] : []))
  }

  async run(nodeId: string, call: FleetCall, signal: AbortSignal | undefined): Promise<FleetAnswer> {
    const link = await this.#link.to(nodeId)
    if (!link) return { kind: 'lost' }
    const { args, timeoutMs, ...rest } = call
    const meta = { ...rest, ...(timeoutMs !== undefined && { timeoutMs }) }
    try {
      const bytes = await link.send('/piko/offload/call', args, { meta, level: LEVEL, ...(signal && { signal }) })
      const answer = deserialize(bytes as Buffer) as OffloadAnswer
      return answer.kind === 'error' ? { kind: 'error', error: reviveError(answer.error) } : answer
    } catch (error) {
      // A node that lacks this route, or whose handler fails, counts as one that refuses. So it is not asked again.
      return isPikoError(error, 'LINK_LOST') ? { kind: 'lost' } : { kind: 'refused', why: String(error) }
    }
  }
}
