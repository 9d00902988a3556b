import { type ErrorCode, PikoError } from '../../errors.ts'
import type { FleetAnswer, FleetCall, FleetNodes } from '../../offload/fleet/fleet.ts'
import { decoded } from '../../offload/fleet/travel.ts'
import { reviveError, type TransferredError } from '../../offload/error-transfer.ts'
import { MAX_DURATION_MS } from '../../time/duration.ts'
import { untilAborted } from '../../signals/until-aborted.ts'
import { headline } from '../../errors-read.ts'
import type { NodeLink } from './node-link.ts'

/** The maximum number of other nodes that are asked for free threads at the same time. */
const MAX_ASKED = 20
const LEVEL = 2
/** How long a node has to tell how many threads it has free. This includes the time to connect. */
const LOOK_MS = 1_000
/** A node enforces the time limit of a call itself. If it has not answered this long after the limit, it is suspended or unreachable. */
const LATE_MS = 5_000

/** A node's answer to an offloaded call from another node. */
export type OffloadAnswer =
  | Exclude<FleetAnswer, { kind: 'error' | 'lost' }>
  | { readonly kind: 'error'; readonly error: TransferredError }

/** Runs offloaded calls on the threads of other nodes, over links. */
export class FleetOffload implements FleetNodes {
  readonly #link: Pick<NodeLink, 'to' | 'reachable'>
  readonly #nodeId: () => string
  readonly #lateMs: number

  /** @param lateMs how long after its time limit a call may stay unanswered */
  constructor(link: Pick<NodeLink, 'to' | 'reachable'>, nodeId: () => string, lateMs = LATE_MS) {
    this.#lateMs = lateMs
    this.#link = link
    this.#nodeId = nodeId
  }

  async look(pool: string, found: (nodeId: string, free: number) => void): Promise<void> {
    const rows = (await this.#link.reachable()).filter(({ id }) => id !== this.#nodeId())
    const from = Math.floor(Math.random() * rows.length)
    const asked = [...rows.slice(from), ...rows.slice(0, from)].slice(0, MAX_ASKED)
    const late = AbortSignal.timeout(LOOK_MS)
    await Promise.allSettled(
      asked.map(async ({ id }) => {
        const link = await untilAborted(this.#link.to(id), late)
        const free = await link?.call('/piko/offload/free', { pool }, { timeout: `${LOOK_MS}ms` })
        if (typeof free === 'number' && free > 0 && !late.aborted) found(id, free)
      }),
    )
  }

  async run(nodeId: string, call: FleetCall, signal: AbortSignal | undefined): Promise<FleetAnswer> {
    const link = await this.#link.to(nodeId)
    if (!link) return { kind: 'busy' }
    const { args, timeoutMs, ...rest } = call
    const meta = { ...rest, ...(timeoutMs !== undefined && { timeoutMs }) }
    const timeout =
      timeoutMs === undefined ? {} : { timeout: `${Math.min(timeoutMs + this.#lateMs, MAX_DURATION_MS)}ms` as const }
    try {
      const options = { meta, level: LEVEL, ...timeout, ...(signal && { signal }) } as const
      const answer = decoded((await link.send('/piko/offload/call', args, options)) as Buffer) as OffloadAnswer
      return answer.kind === 'error' ? { kind: 'error', error: reviveError(answer.error) } : answer
    } catch (error) {
      // A node that lacks this route, or whose handler fails, refuses the module. So it is not asked again.
      return (error instanceof PikoError ? ANSWERS[error.code] : undefined) ?? { kind: 'refused', why: headline(error) }
    }
  }
}

/** What errors of a link say about the call. */
const ANSWERS: Readonly<Partial<Record<ErrorCode, FleetAnswer>>> = {
  LINK_LOST: { kind: 'lost' },
  LINK_BROKEN: { kind: 'lost' },
  LINK_CORRUPT: { kind: 'lost' },
  LINK_CANCELLED: { kind: 'lost' },
  LINK_TIMEOUT: { kind: 'lost' },
  LINK_FULL: { kind: 'busy' },
  LINK_TOO_LARGE: { kind: 'kept' },
}
