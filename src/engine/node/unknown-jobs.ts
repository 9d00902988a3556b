import type { Events } from '../../events.ts'
import { type FleetFacts, unknownJobsOf } from '../../store/doctor/fleet-facts.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Leader } from './leader.ts'

export interface UnknownJobsParts extends LoopServiceParts {
  readonly store: { fleet(): Promise<FleetFacts> }
  readonly leader: Pick<Leader, 'isLeader'>
  readonly events: Events
}

/** How long to wait for the other nodes to register, if the whole fleet was restarted. */
const FIRST_LOOK_MS = 5_000
const LOOK_MS = 60_000

/**
 * Reports jobs in the database that have something to run, but that no live node has in its code. They were removed, or a deploy has left
 * them out. Every node checks once after its start, and the leader once per minute.
 */
export class UnknownJobs extends LoopService {
  readonly #parts: UnknownJobsParts
  #looks = 0
  #told = ''

  constructor(parts: UnknownJobsParts) {
    super('unknown-jobs', parts)
    this.#parts = parts
  }

  protected async step(): Promise<number> {
    this.#looks += 1
    if (this.#looks === 1) return FIRST_LOOK_MS
    if (this.#looks > 2 && !this.#parts.leader.isLeader) {
      this.#tell([])
      return LOOK_MS
    }
    const unknown = unknownJobsOf(await this.#parts.store.fleet())
    if (unknown) this.#tell(unknown.map(({ id }) => id))
    return LOOK_MS
  }

  /** Reports only changes. A node that is not the leader reports no jobs, so that only one node's metric has the count. */
  #tell(jobIds: readonly string[]): void {
    const text = jobIds.join(' ')
    if (text === this.#told) return
    this.#told = text
    this.#parts.events.emit('jobs.unknown', { jobIds })
  }
}
