import { messageOf } from '../../errors-read.ts'
import { redactText } from '../../run/redact.ts'
import type { Outcome } from '../../run/run.ts'
import { type TracedEnd, tracing } from '../../tracing/tracing.ts'
import type { LiveAttempt } from './live-attempt.ts'

/** Runs an attempt. If the process writes traces, the attempt gets its own span. */
export function tracedRun(
  attempt: LiveAttempt,
  pipeline: { run(attempt: LiveAttempt): Outcome | Promise<Outcome> },
): Outcome | Promise<Outcome> {
  const tracer = tracing()
  if (!tracer) return pipeline.run(attempt)
  const { claim, nodeId } = attempt
  const { jobId, runAt, tick, window, trace } = claim
  const facts = {
    'piko.job.id': jobId,
    'piko.run.id': claim.runId,
    'piko.run.kind': claim.kind,
    'piko.run.attempt': claim.attempt,
    'piko.node.id': nodeId,
    'piko.window.start': window?.start.toISOString(),
    'piko.window.end': window?.end.toISOString(),
  }
  return tracer.run({ jobId, runAt, tick, trace, facts }, () => pipeline.run(attempt), endOf)
}

function endOf(outcome: Outcome): TracedEnd {
  const isFailed = outcome.kind === 'failure' || outcome.kind === 'timeout'
  return {
    facts: { 'piko.run.outcome': outcome.kind },
    error: isFailed ? redactText(messageOf(outcome.error)) : undefined,
  }
}
