import type { Registry } from 'prom-client'
import { PikoError } from '../errors.ts'

/** The parts of prom-client's `Registry` that Piko uses. */
export interface MetricRegistry {
  registerMetric(metric: never): void
  getSingleMetric(name: string): unknown
  removeSingleMetric(name: string): void
}

/**
 * Adds the metrics of one registry to another one, which may belong to another copy of prom-client.
 *
 * @param before called before each read
 * @returns a function that removes them
 * @throws PikoError `USAGE` that names the metrics that the other registry already has
 */
export function shareMetrics(own: Registry, other: MetricRegistry, before: () => Promise<void>): () => void {
  const metrics = own.getMetricsAsArray()
  const taken = metrics.flatMap(({ name }) => (other.getSingleMetric(name) === undefined ? [] : name))
  if (taken.length > 0) {
    throw new PikoError(
      'USAGE',
      `new Piko: registry has ${taken.length} metrics of Piko already, such as ${String(taken[0])}: another app of this process uses it. ` +
        'Stop that app first, or give each app its own registry',
      { details: { option: 'registry', metrics: taken } },
    )
  }
  for (const { name } of metrics) {
    const shared = {
      ...{ name, reset: () => {} },
      get: async (): Promise<unknown> => {
        await before()
        return own.getSingleMetric(name)?.get()
      },
    }
    other.registerMetric(shared as never)
  }
  return () => {
    for (const { name } of metrics) other.removeSingleMetric(name)
  }
}
