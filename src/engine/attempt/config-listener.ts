import { describe, watchStray } from '../../errors-read.ts'
import { PikoError, toError } from '../../errors.ts'
import type { PrepareRun } from '../prepare-run.ts'
import type { LiveAttempt } from './live-attempt.ts'

type Listener = (config: unknown, version: number) => unknown

/**
 * Calls a handler's function when another version of its job's config takes effect, until the attempt ends. If the schema refuses the
 * version or the function throws, this is only written to the run's log.
 *
 * @throws PikoError `USAGE`
 */
export function listenToConfig(
  attempt: LiveAttempt,
  prepare: Pick<PrepareRun, 'configOf' | 'versionOf' | 'onChange'>,
  fn: Listener,
): () => void {
  const { job, claim } = attempt
  if (typeof fn !== 'function')
    throw new PikoError('USAGE', `ctx.onConfigChange got ${describe(fn)}; expected a function (config, version) => …`)
  const failed = (thrown: unknown): void =>
    attempt.log.error({ err: toError(thrown) }, 'the function given to ctx.onConfigChange failed; the run continues')
  const off = prepare.onChange(job.id, () => {
    const version = prepare.versionOf(job.id)
    if (attempt.isOver || version === undefined) return
    let config: unknown
    try {
      config = prepare.configOf(job, claim.config)
    } catch (thrown) {
      attempt.log.warn(
        { err: toError(thrown) },
        `version ${version} of the config does not fit this run, which keeps its config`,
      )
      return
    }
    attempt.configVersion = version
    try {
      watchStray(fn(config, version), failed)
    } catch (thrown) {
      failed(thrown)
    }
  })
  const before = attempt.stopListening
  attempt.stopListening = () => {
    before?.()
    off()
  }
  return off
}
