import type { SinkClass, SinkMap } from '../sink/sink.ts'
import type { JobRegistry } from './registry.ts'

/** Returns the sinks of all jobs, each once. */
export function sinkClassesOf(registry: JobRegistry): SinkClass[] {
  const maps = [...registry].map(({ spec }) => (spec.sinks ?? {}) as SinkMap)
  return [...new Set(maps.flatMap((map) => Object.values(map)))]
}
