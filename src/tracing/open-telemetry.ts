import type * as Api from '@opentelemetry/api'
import { propertyOf } from '../errors-read.ts'
import { isMissingPackage } from '../optional-package.ts'
import { packageVersion } from '../package-version.ts'
import { type SpanFacts, type TracedEnd, type TracedRun, type Tracing, tracing, useTracing } from './tracing.ts'

/** The global key under which the API keeps the objects that an SDK registers. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** Starts to write spans if the process has registered an OpenTelemetry SDK. Otherwise loads nothing. */
export async function loadTracing(): Promise<void> {
  const isRegistered = propertyOf(propertyOf(globalThis, REGISTERED), 'trace') !== undefined
  if (tracing() || !isRegistered) return
  try {
    useTracing(new OpenTelemetry(await import('@opentelemetry/api')))
  } catch (thrown) {
    if (!isMissingPackage('@opentelemetry/api', thrown)) throw thrown
  }
}

const TRACEPARENT = /^00-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?: (.*))?$/s
/** The maximum number of characters that the trace context in a run's row may have. */
const MAX_CONTEXT = 600

class OpenTelemetry implements Tracing {
  readonly #api: typeof Api
  readonly #tracer: Api.Tracer

  constructor(api: typeof Api) {
    this.#api = api
    this.#tracer = api.trace.getTracer('piko', packageVersion())
  }

  context(): string | undefined {
    const { trace, context, isSpanContextValid } = this.#api
    const span = trace.getSpanContext(context.active())
    if (!span || !isSpanContextValid(span)) return undefined
    const parent = `00-${span.traceId}-${span.spanId}-${span.traceFlags.toString(16).padStart(2, '0')}`
    const state = span.traceState?.serialize() ?? ''
    // A tracestate that is too long or not ASCII is left out. The trace continues without it.
    const isStorable = state !== '' && /^[ -~]*$/.test(state) && parent.length + 1 + state.length <= MAX_CONTEXT
    return isStorable ? `${parent} ${state}` : parent
  }

  span<T>(name: string, facts: SpanFacts, fn: () => T): T {
    const { trace, context } = this.#api
    const span = this.#tracer.startSpan(name, { attributes: facts })
    return this.#within(
      span,
      () => context.with(trace.setSpan(context.active(), span), fn),
      () => ({ facts: {}, error: undefined }),
    )
  }

  run<T>(
    { jobId, runAt, tick, trace: stored, facts }: TracedRun,
    fn: () => T,
    endOf: (result: Awaited<T>) => TracedEnd,
  ): T {
    const { trace, context, ROOT_CONTEXT, SpanKind } = this.#api
    const now = new Date()
    const since = (date: Date): Date => (date < now ? date : now)
    const caller = this.#parsed(stored)
    let parent = caller ? trace.setSpanContext(ROOT_CONTEXT, caller) : ROOT_CONTEXT
    const links = caller ? [{ context: caller }] : []
    if (!caller && tick) {
      const ticked = this.#tracer.startSpan(`tick ${jobId}`, { startTime: since(tick), attributes: facts }, parent)
      ticked.end(since(runAt))
      parent = trace.setSpan(parent, ticked)
    }
    const queued = this.#tracer.startSpan(`queue ${jobId}`, { startTime: since(runAt), attributes: facts }, parent)
    queued.end(now)
    parent = trace.setSpan(parent, queued)
    const span = this.#tracer.startSpan(
      `run ${jobId}`,
      { kind: SpanKind.CONSUMER, startTime: now, attributes: facts, links },
      parent,
    )
    return this.#within(span, () => context.with(trace.setSpan(parent, span), fn), endOf)
  }

  #within<T>(span: Api.Span, fn: () => T, endOf: (result: Awaited<T>) => TracedEnd): T {
    let result: T
    try {
      result = fn()
    } catch (thrown) {
      this.#failed(span, thrown)
      throw thrown
    }
    if (!(result instanceof Promise)) {
      this.#ended(span, endOf(result as Awaited<T>))
      return result
    }
    result.then(
      (value: Awaited<T>) => this.#ended(span, endOf(value)),
      (thrown: unknown) => this.#failed(span, thrown),
    )
    return result
  }

  #ended(span: Api.Span, { facts, error }: TracedEnd): void {
    span.setAttributes(facts)
    if (error !== undefined) span.setStatus({ code: this.#api.SpanStatusCode.ERROR, message: error })
    span.end()
  }

  /** Sets only the class of the error, because its message may contain a secret. The run's span has the message with secrets removed. */
  #failed(span: Api.Span, thrown: unknown): void {
    const kind = propertyOf(thrown, 'code') ?? propertyOf(thrown, 'name')
    span.setAttribute('error.type', typeof kind === 'string' ? kind : 'error')
    span.setStatus({ code: this.#api.SpanStatusCode.ERROR })
    span.end()
  }

  #parsed(stored: string | undefined): Api.SpanContext | undefined {
    const [, traceId = '', spanId = '', flags = '', state] = TRACEPARENT.exec(stored ?? '') ?? []
    const { createTraceState, isSpanContextValid } = this.#api
    const span = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
    if (!isSpanContextValid(span)) return undefined
    return state === undefined ? span : { ...span, traceState: createTraceState(state) }
  }
}
