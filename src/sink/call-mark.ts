import { isObject, propertyOf } from '../errors-read.ts'
import type { SinkBatch } from './sink.ts'

/** A symbol of all copies of this package, because a sink's module may load another one. */
const CALL = Symbol.for('piko.call')

/** Marks the batch of one call of a sink's method. Copies of the batch that the method makes have the mark too. */
export function called(batch: SinkBatch): SinkBatch {
  return { ...batch, [CALL]: {} } as SinkBatch
}

/** An object that stands for the call that got the batch. */
export function callOf(batch: SinkBatch): object {
  const mark = propertyOf(batch, CALL)
  return isObject(mark) ? mark : batch
}
