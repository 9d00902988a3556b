/** The attributes of a span, such as `{ 'piko.job.id': 'sync_orders' }`. */
export type SpanFacts = Readonly<Record<string, string | number | boolean | undefined>>

/** The run to which spans belong. */
export interface TracedRun {
  readonly jobId: string
  /** When the run was due. */
  readonly runAt: Date
  /** The tick to which the run belongs. */
  readonly tick: Date | undefined
  /** The trace context of the caller that requested the run. */
  readonly trace: string | undefined
  readonly facts: SpanFacts
}

/** How a run ended, for its span. */
export interface TracedEnd {
  readonly facts: SpanFacts
  /** The error, with secrets removed. Undefined: the run did not fail. */
  readonly error: string | undefined
}

/** Writes spans. It exists only if the process has registered an OpenTelemetry SDK. */
export interface Tracing {
  /**
   * Returns the trace context of the current span, which is stored with a run: a W3C traceparent, followed by a space and the tracestate.
   */
  context(): string | undefined
  /** Calls `fn` in a new span. The span ends when the result has settled. */
  span<T>(name: string, facts: SpanFacts, fn: () => T): T
  /** Calls `fn` in the span of a run. Before it, writes spans for the run's tick and for its time in the queue. */
  run<T>(run: TracedRun, fn: () => T, endOf: (result: Awaited<T>) => TracedEnd): T
}

let current: Tracing | undefined

/** Returns undefined if the process has no SDK, so that traces then cost nothing. */
export function tracing(): Tracing | undefined {
  return current
}

export function useTracing(tracer: Tracing | undefined): void {
  current = tracer
}

/** Calls `fn`. If the process writes spans, calls it in a new span. */
export function traced<T>(name: string, facts: () => SpanFacts, fn: () => T): T {
  return current ? current.span(name, facts(), fn) : fn()
}
