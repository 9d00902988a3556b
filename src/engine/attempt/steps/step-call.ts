import { LinkedSignal } from '../../../signals/linked-signal.ts'
import { untilAborted } from '../../../signals/until-aborted.ts'
import { type Clock, TIME_LIMIT } from '../../../clock.ts'
import { isPikoError, PikoError, toError } from '../../../errors.ts'
import { answerOf, isBoolean, type OptionFunction } from '../../../option-function.ts'
import type { StepScope } from '../../../job/steps.ts'
import { withRunSignal } from '../../../offload/signal.ts'
import { stepRetryMs } from '../../../run/step.ts'
import type { StepAttempt } from './step-attempt.ts'
import type { StepPolicy } from './step-options.ts'

/** One call to a step's function. */
export interface StepTry extends StepScope {
  /** Runs the user's function, but not longer than the timeout. */
  readonly run: <T>(part: () => Promise<T> | T) => Promise<T>
}

/** Errors after which another call to the function can't succeed. */
const FINAL = ['LEASE_LOST', 'STEP_RESULT', 'STEP_DUPLICATE', 'STEP_WAITING', 'USAGE'] as const

/** Repeats a call as often as the policy allows. The attempt keeps its slot. */
export async function triedCall<T>(
  attempt: StepAttempt,
  name: string,
  { retry, timeoutMs }: StepPolicy,
  clock: Clock,
  call: (one: StepTry) => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await limitedCall(attempt, name, timeoutMs, clock, tries, call)
    } catch (thrown) {
      const error = toError(thrown)
      const isFinal = attempt.abortReason !== undefined || FINAL.some((code) => isPikoError(error, code))
      const delayMs =
        isFinal || !isWorthIt(attempt, name, retry, error)
          ? undefined
          : stepRetryMs(retry, tries, error, Math.random(), clock.now())
      if (delayMs === undefined) throw thrown
      attempt.log.warn({ err: error, step: name }, `step ${name} failed and is called again in ${delayMs} ms`)
      await pause(clock, delayMs, attempt.signal)
      attempt.throwIfAborted()
    }
  }
}

/** Sleeps for `ms`, or until the signal aborts. */
async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  const linked = new LinkedSignal(signal)
  try {
    await clock.sleep(ms, linked.signal)
  } finally {
    linked.release()
  }
}

/** Whether to call the function again. If `retryIf` itself fails, the step keeps its own error. */
function isWorthIt(
  { claim, log }: StepAttempt,
  name: string,
  { limit, retryIf }: StepPolicy['retry'],
  error: Error,
): boolean {
  if (limit === 0 || !retryIf) return limit > 0
  const asked: OptionFunction<boolean> = {
    ...{
      jobId: claim.jobId,
      option: `retry.retryIf of step "${name}"`,
      isAnswer: isBoolean,
      expected: 'true or false',
    },
    next: 'the step is not called again',
  }
  try {
    return answerOf(asked, () => retryIf(error))
  } catch (thrown) {
    log.error({ err: thrown, step: name }, 'the retryIf function of a step failed; the step is not called again')
    return false
  }
}

async function limitedCall<T>(
  attempt: StepAttempt,
  name: string,
  timeoutMs: number | undefined,
  clock: Clock,
  tries: number,
  call: (one: StepTry) => Promise<T>,
): Promise<T> {
  if (timeoutMs === undefined) {
    const scope = { attempt: tries, signal: attempt.signal }
    return call({ ...scope, run: async (part) => withRunSignal(scope, part) })
  }
  const late = new AbortController()
  const done = new AbortController()
  const linked = new LinkedSignal(attempt.signal, late.signal)
  const scope = { attempt: tries, signal: linked.signal }
  const timedOut = clock.sleep(timeoutMs, done.signal, TIME_LIMIT).then(() => {
    if (!done.signal.aborted) late.abort(stepTimedOut(attempt, name, `its function took longer than ${timeoutMs} ms`))
  })
  try {
    return await call({
      ...scope,
      run: (part) =>
        untilAborted(
          withRunSignal(scope, async () => part()),
          late.signal,
        ),
    })
  } finally {
    done.abort()
    await timedOut
    linked.release()
  }
}

export function stepTimedOut(
  { claim: { runId, jobId } }: StepAttempt,
  name: string,
  why: string,
  cause?: Error,
): PikoError {
  return new PikoError('STEP_TIMEOUT', `step "${name}" of run ${runId} of job "${jobId}" timed out: ${why}`, {
    ...(cause && { cause }),
    details: { runId, jobId, step: name },
  })
}
