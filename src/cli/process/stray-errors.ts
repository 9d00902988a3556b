import { toError } from '../../errors.ts'
import { type Logger } from '../../logger.ts'

/**
 * Answers for the errors that reach nobody. A rejected promise that a handler left alone is logged, and the process goes
 * on: no run but that handler's can have been harmed. After an uncaught exception nothing is known; it is logged and
 * handed on.
 *
 * @returns the function that gives both their usual meaning again: the end of the process
 */
export function catchStrayErrors(log: Logger, onUncaught: (error: Error) => void): () => void {
  const onRejection = (reason: unknown): void => {
    const words = 'unhandled rejection; it belongs to a handler that did not await it; the node continues'
    log.error({ err: toError(reason) }, words)
  }
  const onException = (thrown: unknown): void => {
    const error = toError(thrown)
    log.error({ err: error }, 'uncaught exception; the node lets its runs end and exits with 1')
    onUncaught(error)
  }
  process.on('unhandledRejection', onRejection).on('uncaughtException', onException)
  return () => void process.off('unhandledRejection', onRejection).off('uncaughtException', onException)
}
