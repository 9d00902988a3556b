import type { Events } from '../events.ts'
import type { Metrics, MetricSources } from '../telemetry/metrics.ts'

interface AppMetricsParts {
  readonly host: string
  readonly sources: MetricSources
  readonly events: Events
}

/** The metrics of an app. Their library is loaded only for an app whose metrics somebody may read: it takes longer than most commands. */
export class AppMetrics {
  readonly #parts: AppMetricsParts
  #loading: Promise<Metrics> | undefined
  #loaded: Metrics | undefined
  #release: () => void = () => {}

  constructor(parts: AppMetricsParts) {
    this.#parts = parts
  }

  /** Counts from now on. */
  load(): Promise<Metrics> {
    return (this.#loading ??= this.#load())
  }

  async #load(): Promise<Metrics> {
    const { events, ...parts } = this.#parts
    const { Metrics } = await import('../telemetry/metrics.ts')
    this.#loaded = new Metrics(parts)
    this.#release = this.#loaded.observe(events)
    return this.#loaded
  }

  /** Counts no more. */
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
