import { toError } from '../../errors.ts'
import type { Logger } from '../../logger.ts'

/**
 * Handles errors that no other code has caught. An unhandled rejection is logged and the process continues, because normally it affects
 * only the run whose handler caused it. After an uncaught exception the state of the process is unknown, so the error is logged and passed
 * to `onUncaught`.
 *
 * @returns a function that restores Node's default: both kinds of errors end the process
 */
export function catchStrayErrors(log: Logger, onUncaught: (error: Error) => void): () => void {
  const onRejection = (reason: unknown): void => {
    const words = 'unhandled rejection: a handler did not await one of its promises; the node continues'
    log.error({ err: toError(reason) }, words)
  }
  const onException = (thrown: unknown): void => {
    const error = toError(thrown)
    log.error({ err: error }, 'uncaught exception; the node waits for its runs and exits with code 1')
    onUncaught(error)
  }
  process.on('unhandledRejection', onRejection).on('uncaughtException', onException)
  return () => void process.off('unhandledRejection', onRejection).off('uncaughtException', onException)
}
