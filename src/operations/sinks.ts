import { describe, PikoError } from '../errors.ts'
import { nearestName } from '../options.ts'
import { sinkClassesOf } from '../job/sinks-of.ts'
import type { SinkClass } from '../sink/sink.ts'
import type { DeadRow, DeadRowFilter } from '../store/sinks/dead-row-store.ts'
import { optionsOf } from './call-options.ts'
import type { DeadFilter } from './operation-options.ts'
import type { Reach } from './reach.ts'
import { replayDead, type ReplayedDead } from './replay-dead.ts'

/** A sink with rows that need attention. */
export interface SinkStatus {
  readonly sink: string
  /** How many rows the target of the sink has refused. */
  readonly deadRows: number
  readonly oldestDead: Date | undefined
  /** How many rows are still on the disks of hosts, because they have not reached the target. */
  readonly spilledRows: number
  readonly oldestSpilled: Date | undefined
  /** The hosts with these rows on their disks. */
  readonly hosts: readonly string[]
  /** What the spill folder on this host contains. */
  readonly files: { readonly segments: number; readonly bytes: number; readonly damaged: readonly string[] }
}

export type { DeadFilter, DeadRow, DeadRowFilter, ReplayedDead }

/** `app.sinks`: rows of sinks that have not reached their target. */
export class Sinks {
  readonly #reach: () => Pick<Reach, 'store' | 'registry' | 'locks' | 'sinks'>

  constructor(reach: () => Pick<Reach, 'store' | 'registry' | 'locks' | 'sinks'>) {
    this.#reach = reach
  }

  /** Lists the sinks of the registered jobs, and other sinks with dead rows or rows on disk, by name. */
  async list(): Promise<SinkStatus[]> {
    const { store, registry, sinks } = this.#reach()
    const dead = await store.deadRows.counts()
    const waiting = await store.spills.waiting()
    const known = [
      ...sinkClassesOf(registry).map(({ name }) => name),
      ...dead.map(({ sink }) => sink),
      ...waiting.map(({ sink }) => sink),
    ]
    const files = await sinks.files(known)
    const names = new Set([...known, ...files.keys()])
    return [...names].toSorted().map((sink) => {
      const count = dead.find((one) => one.sink === sink)
      const spilled = waiting.filter((one) => one.sink === sink)
      const oldest = Math.min(...spilled.map(({ spilledAt }) => spilledAt.getTime()))
      return {
        sink,
        deadRows: count?.rows ?? 0,
        oldestDead: count?.oldest,
        spilledRows: spilled.reduce((sum, { rows, sent }) => sum + rows - sent, 0),
        oldestSpilled: spilled.length === 0 ? undefined : new Date(oldest),
        hosts: [...new Set(spilled.map(({ host }) => host))].toSorted(),
        files: files.get(sink) ?? { segments: 0, bytes: 0, damaged: [] },
      }
    })
  }

  /**
   * Lists rows that targets have refused, oldest first.
   *
   * @throws PikoError `USAGE`
   */
  async dead(filter: DeadFilter = {}): Promise<DeadRow[]> {
    const { limit = 100, after = 0, ...rest } = optionsOf('sinks.dead', filter)
    return this.#reach().store.deadRows.list(rest, limit, after)
  }

  /**
   * Delivers dead rows again through their sinks, one by one, and deletes those that the target accepts. A row that is refused again stays,
   * with the new reason. An outage ends the replay.
   *
   * @returns how many rows were delivered and refused, and how many were not tried because they are incomplete or their sink or route no
   *   longer exists
   * @throws PikoError `USAGE` for an empty filter or a sink that no registered job has, `SINK_FAILED` if the target is down, `LOCK_BUSY` if
   *   another replay of the sink is in progress
   */
  async replay(filter: DeadRowFilter): Promise<ReplayedDead> {
    const { store, registry, locks, sinks } = this.#reach()
    const chosen = chosenBy('sinks.replay', filter)
    const classes = sinkClassesOf(registry)
    if (chosen.sink !== undefined) assertSink(chosen.sink, classes)
    return replayDead({ store, locks, sinks, classes }, chosen)
  }

  /** Deletes dead rows. @returns how many it deleted @throws PikoError `USAGE` for an empty filter */
  async drop(filter: DeadRowFilter): Promise<number> {
    const { store } = this.#reach()
    const chosen = chosenBy('sinks.drop', filter)
    return store.deadRows.drop(chosen)
  }
}

/** Refuses an empty filter, because it is probably a mistake. */
function chosenBy(call: 'sinks.replay' | 'sinks.drop', filter: DeadRowFilter): DeadRowFilter {
  const { sink, jobId, runId, ids } = optionsOf(call, filter)
  if (sink === undefined && jobId === undefined && runId === undefined && ids === undefined) {
    throw new PikoError('USAGE', `app.${call}(${describe(filter)}) names no rows; give sink, jobId, runId or ids`)
  }
  return { sink, jobId, runId, ids }
}

function assertSink(sink: string, classes: readonly SinkClass[]): void {
  const names = classes.map(({ name }) => name)
  if (names.includes(sink)) return
  const nearest = nearestName(sink, names)
  const hint =
    nearest === undefined
      ? `the registered jobs have ${names.join(', ') || 'no sinks'}`
      : `did you mean ${describe(nearest)}?`
  throw new PikoError('USAGE', `app.sinks.replay: no registered job has a sink ${describe(sink)}; ${hint}`, {
    details: { sink },
  })
}
