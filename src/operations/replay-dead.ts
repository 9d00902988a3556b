import { headline } from '../errors-read.ts'
import { isPikoError, PikoError, toError } from '../errors.ts'
import type { SinkClass } from '../sink/sink.ts'
import { sinkFolder } from '../sink/spill/sink-folder.ts'
import type { DeadRow, DeadRowFilter } from '../store/sinks/dead-row-store.ts'
import type { Reach } from './reach.ts'

/** The result of replaying dead rows. */
export interface ReplayedDead {
  readonly delivered: number
  /** How many rows the target refused again. */
  readonly refused: number
  /** How many rows were not delivered: they are incomplete, or no registered job has their sink or route. */
  readonly left: number
}

export interface ReplayParts extends Pick<Reach, 'store' | 'locks' | 'sinks'> {
  readonly classes: readonly SinkClass[]
}

const PAGE = 100

/** Delivers dead rows again. Only one replay per sink runs at a time, across all nodes, because two would deliver rows twice. */
export async function replayDead(parts: ReplayParts, filter: DeadRowFilter): Promise<ReplayedDead> {
  const { store } = parts
  const names = filter.sink === undefined ? (await store.deadRows.counts()).map(({ sink }) => sink) : [filter.sink]
  const all = { delivered: 0, refused: 0, left: 0 }
  for (const sink of names) {
    const { delivered, refused, left } = await replaySink(parts, { ...filter, sink })
    all.delivered += delivered
    all.refused += refused
    all.left += left
  }
  return all
}

async function replaySink(
  parts: ReplayParts,
  filter: DeadRowFilter & { readonly sink: string },
): Promise<ReplayedDead> {
  const { store, locks, classes } = parts
  const { sink } = filter
  const sinkClass = classes.find(({ name }) => name === sink)
  if (!sinkClass) return { delivered: 0, refused: 0, left: await store.deadRows.count(filter) }
  await using lock = await locks.acquire(`piko/replay/${sinkFolder(sink)}`, { wait: '0s' })
  const count = { delivered: 0, refused: 0, left: 0 }
  for (let after = 0; ;) {
    const rows = await store.deadRows.list(filter, PAGE, after)
    const last = rows.at(-1)
    if (!last) return count
    after = last.id
    for (const row of rows) {
      lock.lost.throwIfAborted()
      count[await replayRow(parts, sinkClass, row, lock.lost)] += 1
    }
  }
}

async function replayRow(
  { store, sinks }: ReplayParts,
  sinkClass: SinkClass,
  row: DeadRow,
  signal: AbortSignal,
): Promise<keyof ReplayedDead> {
  if (!row.isWhole) return 'left'
  try {
    if (!(await sinks.redeliver(sinkClass, row, signal))) return 'left'
  } catch (thrown) {
    const error = toError(thrown)
    if (isPikoError(error, 'STOPPED') || sinks.isOutage(sinkClass, error)) {
      const what = `sink ${row.sink}: the replay ended at row ${row.id}: ${headline(error)}`
      throw new PikoError('SINK_FAILED', what, { cause: error, details: { sink: row.sink, id: row.id } })
    }
    await store.deadRows.setReason(row.id, headline(error))
    return 'refused'
  }
  await store.deadRows.drop({ ids: [row.id] })
  return 'delivered'
}
