import { isObject, propertyOf } from '../errors-read.ts'
import type { SinkBatch } from './sink.ts'

/** A symbol that all copies of this package share, because the module of a sink may load another copy. */
const CALL = Symbol.for('piko.call')

/** Marks the batch that one call of a sink's method receives. Copies of the batch keep the mark. */
export function called(batch: SinkBatch): SinkBatch {
  return { ...batch, [CALL]: {} } as SinkBatch
}

/** An object that identifies the call that received the batch. */
export function callOf(batch: SinkBatch): object {
  const mark = propertyOf(batch, CALL)
  return isObject(mark) ? mark : batch
}
