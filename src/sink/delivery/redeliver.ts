import { headline } from '../../errors-read.ts'
import { toError } from '../../errors.ts'
import { isSchema } from '../on.ts'
import type { Route } from '../routes.ts'
import type { SinkBatch, SinkEnv, SinkScope } from '../sink.ts'
import type { SinkObserver } from '../sink-observer.ts'
import type { SinkTarget } from '../sink-target.ts'
import type { SpillBatch } from '../spill/spill-queue.ts'
import { callSink, clearWindow } from './call-sink.ts'
import { isOutage, isStale } from './outage.ts'
import { rowBytes } from '../row-bytes.ts'
import { sift } from './sift.ts'

/** What is needed to deliver rows outside of their run, which has usually ended. */
export interface Redelivery {
  readonly target: SinkTarget
  readonly env: SinkEnv
  readonly observer: Pick<SinkObserver, 'superseded'>
  readonly signal: AbortSignal
}

/**
 * Delivers a batch from disk. Rows that the target refuses become dead letters even if the sink has no `deadLetters`, because their run has
 * usually ended and can't report them. If a newer run has written the window, the batch is dropped.
 *
 * @throws an error that is not about rows: the batch must be delivered again later
 */
export async function redeliver(spilled: SpillBatch, redelivery: Redelivery): Promise<void> {
  const { target, env, observer, signal } = redelivery
  const { jobId, runId } = spilled.batch
  const route = [...target.routes.values()].find(({ modelName }) => modelName === spilled.route)
  if (!route) {
    const reason = `sink ${target.name} has no route ${spilled.route} any more`
    await target.deadLetters?.add(
      spilled,
      spilled.rows.map((row, place) => ({ row, place, reason })),
    )
    return
  }
  const scope: SinkScope = { ...spilled.batch, signal, log: env.log, sql: env.sql }
  try {
    if (spilled.kind === 'clear') await clearWindow(target, route, scope)
    else await deliverRows(target, route, spilled, { ...spilled.batch, ...scope })
  } catch (thrown) {
    const error = toError(thrown)
    if (!isStale(error)) throw error
    observer.superseded({ sink: target.name, jobId, runId, rows: spilled.rows.length, error })
  }
}

async function deliverRows(target: SinkTarget, route: Route, spilled: SpillBatch, batch: SinkBatch): Promise<void> {
  const rows = restored(route, spilled.rows)
  let { index } = batch
  const asides = await sift(rows, {
    send: async (part) => {
      const bytes = part.rows.reduce<number>((sum, row) => sum + rowBytes(row), 0)
      await callSink(target, route, part.rows, { ...batch, index, key: `${batch.key}${part.suffix}` }, bytes)
      // The first part has already deleted the rows of earlier attempts. The other parts must not delete rows, so they have an index of at
      // least 1.
      index = Math.max(1, index)
    },
    isOutage: (error) => isOutage(error, target.policy.spill?.isOutage),
    admit: () => {},
  })
  if (asides.length === 0) return
  if (!target.deadLetters) throw new Error(`the target refuses rows: ${headline(asides[0]?.reason)}`)
  await target.deadLetters.add(spilled, asides)
  target.counts.dead += asides.length
}

/** Sets the prototype of a class's instances again, because the disk does not store it. */
export function restored({ model }: Route, rows: readonly unknown[]): readonly unknown[] {
  if (isSchema(model)) return rows
  const { prototype } = model as { readonly prototype: object }
  return rows.map((row) =>
    typeof row === 'object' && row !== null ? (Object.setPrototypeOf(row, prototype) as unknown) : row,
  )
}
