import { basename } from 'node:path'
import { MessageChannel, workerData } from 'node:worker_threads'
import { setImmediate as turn } from 'node:timers/promises'
import { getHeapStatistics } from 'node:v8'
import { messageOf } from '../../errors-read.ts'
import { PikoError } from '../../errors.ts'
import { ChunkWriter } from '../streams/chunk-writer.ts'
import { serialiseError } from '../error-transfer.ts'
import { isStream, itemSource } from '../streams/item-source.ts'
import { newRoom } from '../streams/room.ts'
import { isMoved } from '../move.ts'
import type { CallResult, OffloadReply, OffloadTask, ThreadState } from '../protocol.ts'
import { unsendable } from '../unsendable.ts'
import { performBatch } from './batch.ts'
import { tell, ThreadCall, threadCalls } from './current-call.ts'
import { Leftovers } from './leftovers.ts'
import { openSources } from './sources.ts'
import { aboutToReply, guardThread } from './thread-guard.ts'

type Callable = (...args: readonly unknown[]) => unknown
type Wanted = Pick<OffloadTask, 'module' | 'name'>

/** The imported functions by module and name. Importing a module again would take longer than many calls. */
const functions = new Map<string, Callable>()
const leftovers = new Leftovers()
/** A mark that is shared with the pool. The thread sets it to 1 when a call begins. */
const begun = workerData instanceof Int32Array ? workerData : undefined
const calls = threadCalls()
let isGuarded = false

/** The entry point of the thread. It calls one exported function of one module. */
export default async function perform(task: OffloadTask): Promise<unknown> {
  if (begun) Atomics.store(begun, 0, 1)
  if (!isGuarded) guardThread()
  isGuarded = true
  const call = new ThreadCall(task)
  const { result, transfer } = await calls.run(call, () => answer(task, call))
  call.isOver = true
  // Work that the call has deferred to the next turn of the event loop also belongs to the call. If that work loops, the call has not
  // ended.
  await turn()
  const reply: OffloadReply = { ...result, ...stateAfter(call) }
  aboutToReply(call, 'value' in reply ? reply.value : undefined)
  return transfer === undefined ? reply : handOver(reply, transfer)
}

interface Answer {
  readonly result: CallResult
  readonly transfer?: readonly unknown[]
}

async function answer(task: OffloadTask, call: ThreadCall): Promise<Answer> {
  try {
    const fn = functions.get(`${task.module}\n${task.name}`) ?? (await functionOf(task))
    leftovers.begin()
    const result = task.batch ? await performBatch(task, task.batch, fn, functionOf) : await fn(...openSources(task))
    if (isStream(result)) return { result: await sendStream(result, call) }
    if (isMoved(result)) return { result: { ok: true, value: result.value }, transfer: result.transfer }
    return { result: { ok: true, value: result } }
  } catch (error) {
    return { result: { ok: false, error: serialiseError(error) } }
  }
}

/** Sends the items of a result one after another. The call ends with the last item. */
async function sendStream(stream: AsyncIterable<unknown> | Iterable<unknown>, call: ThreadCall): Promise<CallResult> {
  const { port1: ours, port2: port } = new MessageChannel()
  const source = itemSource(stream)
  const end = (): unknown => {
    call.controller.abort(new PikoError('STOPPED', `the reader of ${call.title} has stopped`))
    return source.end()
  }
  const room = newRoom()
  const writer = new ChunkWriter(
    { next: () => source.next(), end },
    { port: ours, room },
    {
      lastProgress: () => call.last,
      unsendable: (row, index, cause) => unsendable(`a row of ${call.title}`, `rows[${index}]`, row, cause),
    },
  )
  const opened = new Promise<void>((resolve) => ours.once('message', resolve).once('close', resolve))
  tell({ piko: 'stream', id: call.id, port, room }, [port])
  await writer.write()
  // The reply uses a different port from the stream's, and must not arrive before the stream is open.
  await opened
  return { ok: true, value: undefined }
}

function stateAfter({ last }: ThreadCall): ThreadState {
  const left = leftovers.find()
  if (left.length > 0) leftovers.watch(() => tell({ piko: 'clean' }))
  const { used_heap_size, external_memory } = getHeapStatistics()
  return {
    ...(last && { progress: last }),
    ...(left.length > 0 && { left }),
    usedBytes: used_heap_size + external_memory,
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

/** Registers the TypeScript loader, once per thread. The loader also handles imports of the offloaded modules. */
function enableTypeScript(): Promise<void> {
  typeScript ??= import('tsx/esm/api').then(({ register }) => void register())
  return typeScript
}

async function functionOf(wanted: Wanted): Promise<Callable> {
  const { module, name } = wanted
  const known = functions.get(`${module}\n${name}`)
  if (known) return known
  const fn = exportedFunction(await load(module), wanted)
  functions.set(`${module}\n${name}`, fn)
  return fn
}

function exportedFunction(exports: Readonly<Record<string, unknown>>, { module, name }: Wanted): Callable {
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

async function handOver(reply: OffloadReply, transfer: readonly unknown[]): Promise<unknown> {
  // Only a thread that moves values needs to import piscina again.
  const piscina = await import('piscina')
  return piscina.move({ [piscina.transferableSymbol]: transfer, [piscina.valueSymbol]: reply })
}
