import type { Events } from '../events.ts'
import type { Metrics, MetricSources } from '../telemetry/metrics.ts'
import type { MetricRegistry } from '../telemetry/shared-registry.ts'

interface AppMetricsParts {
  readonly host: string
  readonly sources: MetricSources
  readonly events: Events
  /** The user's registry, which gets the metrics too. */
  readonly registry: MetricRegistry | undefined
}

/**
 * The metrics of an app. The library is loaded only for a node or a user's services, and when the metrics are read, because loading it
 * takes longer than most commands.
 */
export class AppMetrics {
  readonly #parts: AppMetricsParts
  #loading: Promise<Metrics> | undefined
  #loaded: Metrics | undefined
  #release: () => void = () => {}

  constructor(parts: AppMetricsParts) {
    this.#parts = parts
  }

  /** Loads the library and starts counting. */
  load(): Promise<Metrics> {
    return (this.#loading ??= this.#load())
  }

  async #load(): Promise<Metrics> {
    const { events, registry, ...parts } = this.#parts
    const { Metrics } = await import('../telemetry/metrics.ts')
    const metrics = new Metrics(parts)
    const forget = metrics.observe(events)
    this.#release = forget
    const leave = registry && metrics.shareWith(registry)
    this.#loaded = metrics
    this.#release = () => {
      forget()
      leave?.()
    }
    return metrics
  }

  /** Stops counting, and removes the metrics from the user's registry. */
  close(): void {
    this.#release()
  }

  waited(resource: string, ms: number): void {
    this.#loaded?.waited(resource, ms)
  }

  async render(): Promise<{ contentType: string; body: string }> {
    return (await this.load()).render()
  }
}
