import type {
  Intrinsics,
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSWASMModule,
  Scope,
} from 'quickjs-emscripten'
import { threadsClock } from '../../clock.ts'
import { safely } from '../../errors-read.ts'
import { optionalPackage } from '../../optional-package.ts'
import { clockAt, PRELUDE } from './sandbox-prelude.ts'

/** One evaluation of a source, in the form in which it is sent to the thread. */
export interface SandboxTask {
  readonly source: string
  /** The name of the function to call. Undefined: the result is the value of the source's last statement. */
  readonly name: string | undefined
  /** The list of arguments, as JSON text. */
  readonly args: string
  readonly memoryBytes: number
  /** The time by which the evaluation must end, on `threadsClock`. */
  readonly deadline: number
  /**
   * The evaluation may take at least this long, even if the deadline has already passed, because the start of a thread may take a long
   * time.
   */
  readonly leastMs: number
  /** The time that `Date` shows to the source, in milliseconds since 1970; undefined: the source has no `Date`. */
  readonly nowMs: number | undefined
  /** When the evaluation begins, the thread writes the real deadline here, also on `threadsClock`. */
  readonly endsAt: Float64Array<SharedArrayBuffer>
}

export type SandboxReply =
  | { readonly kind: 'done'; readonly json: string }
  | { readonly kind: 'time' | 'memory' | 'output' | 'pending' }
  | { readonly kind: 'error'; readonly name: string; readonly message: string; readonly stack: string }

/** The maximum stack size of the engine. The engine runs on the stack of the thread, which must be larger. */
const STACK_BYTES = 256 * 1_024
const MAX_OUTPUT_CHARS = 10_000_000

type Library = Pick<typeof import('quickjs-emscripten'), 'Scope' | 'newQuickJSWASMModule'>

let library: Promise<{ readonly quickjs: QuickJSWASMModule; readonly scopes: Library['Scope'] }> | undefined

async function load(): Promise<{ readonly quickjs: QuickJSWASMModule; readonly scopes: Library['Scope'] }> {
  const { newQuickJSWASMModule, Scope: scopes } = await optionalPackage(
    'quickjs-emscripten',
    'sandbox.call()',
    () => import('quickjs-emscripten'),
  )
  return { quickjs: await newQuickJSWASMModule(), scopes }
}

/** Evaluates a task in a thread of the pool. Each task gets a new engine, so a source can't see data of an earlier one. */
export async function evaluate(task: SandboxTask): Promise<SandboxReply> {
  library ??= load()
  const { quickjs, scopes } = await library
  const endsAt = Math.max(task.deadline, threadsClock() + task.leastMs)
  task.endsAt[0] = endsAt
  const runtime = quickjs.newRuntime()
  runtime.setMemoryLimit(task.memoryBytes)
  runtime.setMaxStackSize(STACK_BYTES)
  runtime.setInterruptHandler(() => threadsClock() > endsAt)
  try {
    return scopes.withScope((scope) => evaluateIn(runtime, scope, task))
  } catch (thrown) {
    if (threadsClock() > endsAt) return { kind: 'time' }
    if (thrown instanceof Ended) return thrown.reply
    return { kind: 'memory' }
  } finally {
    dispose(runtime)
  }
}

/** Disposes of an engine. This fails if the engine ran out of memory; then the next task loads the library again. */
function dispose(runtime: QuickJSRuntime): void {
  try {
    runtime.dispose()
  } catch {
    library = undefined
  }
}

/** Thrown to end an evaluation early; contains the reply to send. */
class Ended extends Error {
  readonly reply: SandboxReply

  constructor(reply: SandboxReply) {
    super(reply.kind)
    this.reply = reply
  }
}

function evaluateIn(
  runtime: QuickJSRuntime,
  scope: Scope,
  { source, name, args, nowMs, endsAt }: SandboxTask,
): SandboxReply {
  const context = scope.manage(runtime.newContext({ intrinsics: intrinsics(nowMs !== undefined) }))
  const vm = new Vm(context, scope)
  if (nowMs !== undefined) vm.run(clockAt(nowMs))
  const value = vm.run(source)
  if (name === undefined) vm.step('value', value)
  else vm.step('call', vm.run(`(${name})`), context.newString(args))
  const jobs = runtime.executePendingJobs()
  if (jobs.error) scope.manage(jobs.error)
  const end = vm.step('end')
  const isLate = threadsClock() > (endsAt[0] ?? 0)
  if (context.typeof(end) !== 'string') return { kind: isLate ? 'time' : 'pending' }
  const text = context.getString(end)
  if (text.length > MAX_OUTPUT_CHARS) return { kind: 'output' }
  if (text.startsWith('done')) return { kind: 'done', json: text.slice(4) }
  // The engine interrupts a late source with an error. The source may have caught it and reported an error of its own.
  return isLate ? { kind: 'time' } : errorReply(text.slice(5))
}

/** Returns the built-in objects of a source: those of the language, and `Date` only if a time was given. */
function intrinsics(hasDate: boolean): Intrinsics {
  return {
    BaseObjects: true,
    Date: hasDate,
    Eval: true,
    StringNormalize: true,
    RegExp: true,
    RegExpCompiler: true,
    JSON: true,
    Proxy: true,
    MapSet: true,
    TypedArrays: true,
    Promise: true,
    BigInt: true,
  }
}

class Vm {
  readonly #context: QuickJSContext
  readonly #scope: Scope
  readonly #prelude: QuickJSHandle

  constructor(context: QuickJSContext, scope: Scope) {
    this.#context = context
    this.#scope = scope
    this.#prelude = this.#value(context.evalCode(PRELUDE))
  }

  /** Evaluates code in the sandbox. @throws Ended */
  run(code: string): QuickJSHandle {
    return this.#value(this.#context.evalCode(code, 'sandbox.js'))
  }

  /** Calls a step of the prelude in the sandbox. @throws Ended */
  step(step: string, ...args: readonly QuickJSHandle[]): QuickJSHandle {
    const name = this.#scope.manage(this.#context.newString(step))
    return this.#value(this.#context.callFunction(this.#prelude, this.#context.undefined, name, ...args))
  }

  #value(result: ReturnType<QuickJSContext['evalCode']>): QuickJSHandle {
    if (!result.error) return this.#scope.manage(result.value)
    const error = this.#scope.manage(result.error)
    const name = this.#scope.manage(this.#context.newString('describe'))
    const described = this.#context.callFunction(this.#prelude, this.#context.undefined, name, error)
    if (described.error) {
      this.#scope.manage(described.error)
      throw new Ended({ kind: 'memory' })
    }
    throw new Ended(errorReply(this.#context.getString(this.#scope.manage(described.value))))
  }
}

function errorReply(json: string): SandboxReply {
  const none = { name: 'Error', message: '', stack: '' }
  const error = { ...none, ...safely(() => JSON.parse(json) as Partial<typeof none>, none) }
  if (error.name === 'InternalError' && error.message === 'interrupted') return { kind: 'time' }
  if (error.name === 'InternalError' && /^(?:out of memory|string too long)$/.test(error.message))
    return { kind: 'memory' }
  return { kind: 'error', ...error }
}
