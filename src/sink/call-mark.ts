import { isObject, propertyOf } from '../errors-read.ts'
import type { SinkBatch } from './sink.ts'

/** A registered symbol, because the module of a sink may load another copy of this package. */
const CALL = Symbol.for('piko.call')

/** Marks the batch for one call to a sink's method. Copies of the batch keep the mark. */
export function called(batch: SinkBatch): SinkBatch {
  return { ...batch, [CALL]: {} } as SinkBatch
}

/** Returns an object that identifies the call that received the batch. */
export function callOf(batch: SinkBatch): object {
  const mark = propertyOf(batch, CALL)
  return isObject(mark) ? mark : batch
}
