import { stackOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { serialiseError } from '../error-transfer.ts'
import { unsendable } from '../unsendable.ts'
import { tell, type ThreadCall, threadCalls } from './current-call.ts'

let lastReply: { readonly call: ThreadCall; readonly value: unknown } | undefined

/** Stores the reply that piscina will send next. Only sending it shows whether it can be copied. */
export function aboutToReply(call: ThreadCall, value: unknown): void {
  lastReply = { call, value }
  // Piscina posts the reply in this turn of the event loop, so it is sent in the next turn.
  setImmediate(() => (lastReply = undefined)).unref()
}

/**
 * An uncaught error or an exit during a call ends the thread, and so the call. After the call's reply, neither may end the thread: it may
 * already execute another call, which would be blamed.
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
