import { isObject } from '../errors-read.ts'
import { mark } from '../sink/on.ts'
import { routesOf } from '../sink/routes.ts'
import { Sink, type SinkClass, type SinkMap } from '../sink/sink.ts'

/** The rows that were written, by the names of the sinks. */
export type RecordedRows = Record<string, unknown[]>

/** Creates a copy of each sink. The copy checks rows with the same models, but only adds them to `rows`. */
export function recordedSinks(sinks: unknown, rows: RecordedRows): SinkMap {
  if (!isObject(sinks)) return {}
  return Object.fromEntries(
    Object.entries(sinks as SinkMap).map(([name, sink]) => [name, recorded(sink, (rows[name] ??= []))]),
  )
}

function recorded(sink: SinkClass, rows: unknown[]): SinkClass {
  class Recorded extends Sink {}
  Object.defineProperty(Recorded, 'name', { value: sink.name })
  for (const { model, method } of routesOf(sink).values()) {
    const value = (batch: readonly unknown[]): void => void rows.push(...batch)
    mark(value, model)
    Object.defineProperty(Recorded.prototype, method, { value, configurable: true })
  }
  return Recorded
}
