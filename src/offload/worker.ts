import { AsyncLocalStorage } from 'node:async_hooks'
import { basename } from 'node:path'
import { messageOf, stackOf } from '../errors-read.ts'
import { PikoError } from '../errors.ts'
import { serialiseError, type TransferredError } from './error-transfer.ts'
import { isMoved, type Moved } from './move.ts'

/** One call, as sent to the thread. */
export interface OffloadTask {
  /** A `file:` URL. */
  readonly module: string
  /** The name of the exported function. */
  readonly name: string
  readonly args: readonly unknown[]
}

/** The reply. An error is sent as data: thrown, it would lose its code, its cause and its class. */
export type OffloadReply =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly error: TransferredError }

type Callable = (...args: readonly unknown[]) => unknown

/** Caches by module and name: importing a module again takes longer than many calls. */
const functions = new Map<string, Callable>()

interface Call {
  readonly name: string
  readonly module: string
  isOver: boolean
}

/** The call that the current work belongs to, including later work: timers, promises, events. */
const calls = new AsyncLocalStorage<Call>()

/**
 * An uncaught error of a running call ends its thread, and so the call. An error that it throws after its reply must not: the thread then
 * works for another call, which would get the blame.
 */
function watchLateErrors(): void {
  process.on('uncaughtException', (thrown) => {
    const call = calls.getStore()
    if (!call?.isOver) throw thrown
    const whose = `${call.name}() of ${basename(call.module)}`
    process.emitWarning(`${whose} threw after it had ended: ${stackOf(thrown)}`, 'PikoOffloadWarning')
  })
}

let isWatched = false

/** The thread's entry: calls one exported function of one module. */
export default function perform(task: OffloadTask): Promise<OffloadReply> {
  if (!isWatched) watchLateErrors()
  isWatched = true
  const call: Call = { name: task.name, module: task.module, isOver: false }
  return calls.run(call, async () => {
    const reply = await answer(task)
    call.isOver = true
    return reply
  })
}

async function answer(task: OffloadTask): Promise<OffloadReply> {
  try {
    const key = `${task.module}\n${task.name}`
    const known = functions.get(key)
    const fn = known ?? exportedFunction(await load(task.module), task)
    if (!known) functions.set(key, fn)
    const result = await fn(...task.args)
    return isMoved(result) ? await handOver(result) : { ok: true, value: result }
  } catch (error) {
    return { ok: false, error: serialiseError(error) }
  }
}

async function load(module: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    if (/\.[cm]?tsx?$/.test(new URL(module).pathname)) await enableTypeScript()
    return (await import(module)) as Record<string, unknown>
  } catch (cause) {
    throw new PikoError('OFFLOAD_FAILED', `the module ${module} can't be loaded in a thread: ${messageOf(cause)}`, {
      cause,
      details: { module },
    })
  }
}

let typeScript: Promise<void> | undefined

/** Runs once per thread. The thread is ours, so the loader also serves the module's own imports. */
function enableTypeScript(): Promise<void> {
  typeScript ??= import('tsx/esm/api').then(({ register }) => void register())
  return typeScript
}

function exportedFunction(exports: Readonly<Record<string, unknown>>, { module, name }: OffloadTask): Callable {
  const found = Object.hasOwn(exports, name) ? exports[name] : undefined
  if (typeof found === 'function') return found as Callable
  const names = Object.keys(exports).filter((key) => typeof exports[key] === 'function')
  const offered = names.length === 0 ? 'no functions' : names.join(', ')
  throw new PikoError(
    'OFFLOAD_FAILED',
    `${basename(module)} has no exported function ${JSON.stringify(name)}; it exports ${offered}`,
    { details: { module, name, exports: names } },
  )
}

async function handOver(result: Moved<unknown>): Promise<OffloadReply> {
  // Only a thread that moves something pays for the second import.
  const piscina = await import('piscina')
  const reply: OffloadReply = { ok: true, value: result.value }
  const movable = { [piscina.transferableSymbol]: result.transfer, [piscina.valueSymbol]: reply }
  return piscina.move(movable) as unknown as OffloadReply
}
