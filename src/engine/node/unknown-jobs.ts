import type { Events } from '../../events.ts'
import { type FleetFacts, unknownJobsOf } from '../../store/doctor/fleet-facts.ts'
import { LoopService, type LoopServiceParts } from '../loop/loop-service.ts'
import type { Leader } from './leader.ts'

export interface UnknownJobsParts extends LoopServiceParts {
  readonly store: { fleet(): Promise<FleetFacts> }
  readonly leader: Pick<Leader, 'isLeader'>
  readonly events: Events
}

/** After a restart of the whole fleet, the other nodes register within this time. */
const FIRST_LOOK_MS = 5_000
const LOOK_MS = 60_000

/**
 * Tells of jobs in the database that have something to run, but that no live node has in its code: a deploy that forgot them, or jobs that
 * were removed. Every node looks once after its start, and the leader once a minute.
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

  /** Only what has changed. A node that does not lead has nothing to tell, so that the metric of one node counts. */
  #tell(jobIds: readonly string[]): void {
    const text = jobIds.join(' ')
    if (text === this.#told) return
    this.#told = text
    this.#parts.events.emit('jobs.unknown', { jobIds })
  }
}
