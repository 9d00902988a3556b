import { stackOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { serialiseError } from '../error-transfer.ts'
import { unsendable } from '../unsendable.ts'
import { tell, type ThreadCall, threadCalls } from './current-call.ts'

let lastReply: { readonly call: ThreadCall; readonly value: unknown } | undefined

/** Stores the reply that piscina will send next. Only sending it shows whether it can be copied. */
export function aboutToReply(call: ThreadCall, value: unknown): void {
  lastReply = { call, value }
  // Piscina posts the reply in this turn of the event loop. In the next turn it has been sent, so it is no longer needed.
  setImmediate(() => (lastReply = undefined)).unref()
}

/**
 * Prevents a call that has ended from ending the thread with an uncaught error or an exit. The thread may already be executing another
 * call, which would then be blamed.
 */
export function guardThread(): void {
  process.on('uncaughtException', (thrown) => {
    const call = threadCalls().getStore()
    if (lastReply !== undefined && call === undefined) return refuseReply(lastReply, thrown)
    if (!call?.isOver) throw thrown
    warn(`${call.title} threw after it had ended: ${stackOf(thrown)}`)
  })
  const exit = process.exit.bind(process)
  process.exit = (code) => {
    const call = threadCalls().getStore()
    if (!call?.isOver) return exit(code)
    throw new PikoError('OFFLOAD_EXIT', `${call.title} called process.exit after it had ended`)
  }
}

function refuseReply({ call, value }: { readonly call: ThreadCall; readonly value: unknown }, cause: unknown): void {
  lastReply = undefined
  tell({
    piko: 'unsendable',
    id: call.id,
    error: serialiseError(unsendable(`the result of ${call.title}`, 'result', value, cause)),
  })
}

function warn(message: string): void {
  process.emitWarning(message, 'PikoOffloadWarning')
}
