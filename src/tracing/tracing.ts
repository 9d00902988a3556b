/** The attributes of a span, such as `{ 'piko.job.id': 'sync_orders' }`. */
export type SpanFacts = Readonly<Record<string, string | number | boolean | undefined>>

/** The run that spans belong to. */
export interface TracedRun {
  readonly jobId: string
  /** When the run was due. */
  readonly runAt: Date
  /** The tick that it belongs to. */
  readonly tick: Date | undefined
  /** The trace context of the caller that requested it. */
  readonly trace: string | undefined
  readonly facts: SpanFacts
}

/** The end of a run, for its span. */
export interface TracedEnd {
  readonly facts: SpanFacts
  /** The error, without secrets. Undefined: the run did not fail. */
  readonly error: string | undefined
}

/** Writes spans. Exists only in a process that has registered an SDK of OpenTelemetry. */
export interface Tracing {
  /** The trace context of the current span, to store with a run: a W3C traceparent, and after a space the tracestate. */
  context(): string | undefined
  /** Calls `fn` in a new span, which ends when the result has settled. */
  span<T>(name: string, facts: SpanFacts, fn: () => T): T
  /** Calls `fn` in the span of a run, after spans for its tick and for its time in the queue. */
  run<T>(run: TracedRun, fn: () => T, endOf: (result: Awaited<T>) => TracedEnd): T
}

let current: Tracing | undefined

/** Returns undefined without an SDK, so that traces cost nothing. */
export function tracing(): Tracing | undefined {
  return current
}

export function useTracing(tracer: Tracing | undefined): void {
  current = tracer
}

/** Calls `fn`, in a new span if the process writes spans. */
export function traced<T>(name: string, facts: () => SpanFacts, fn: () => T): T {
  return current ? current.span(name, facts(), fn) : fn()
}
