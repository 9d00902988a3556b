import { wrongCall } from '../../call-options.ts'
import { readCall } from '../../calls/call-checks.ts'
import { threadsClock } from '../../clock.ts'
import { describe, isPikoError, PikoError } from '../../errors.ts'
import { safely } from '../../errors-read.ts'
import { memoryBytes, type MemorySize } from '../../offload/pool/memory-size.ts'
import { offload } from '../../offload/offload.ts'
import { anAbortSignal, expecting, isList, type OptionCheck, type OptionChecks } from '../../options.ts'
import { redactText } from '../../run/redact.ts'
import { LinkedSignal } from '../../signals/linked-signal.ts'
import { aDuration } from '../../time/duration-check.ts'
import { type Duration, durationMs } from '../../time/duration.ts'
import { type InstantInput, readInstant } from '../../time/instant.ts'
import type { SandboxReply, SandboxTask } from './sandbox-thread.ts'

/** The options of `sandbox.call`. */
export interface SandboxOptions {
  /** The time limit of the call, up to `'10m'`. It includes the start of a thread if one is needed. Default `'1s'`. */
  readonly timeout?: Duration
  /** The maximum memory of the source, from `'1MB'` to `'1GB'`. Default `'32MB'`. */
  readonly memory?: MemorySize
  /** The time that `Date` always shows in the source. Default: the source has no `Date`. */
  readonly now?: InstantInput
  /** Aborts the call, which then throws the signal's reason. Default: none. */
  readonly signal?: AbortSignal
}

const MAX_SOURCE_CHARS = 10_000_000
const MAX_ARGS_CHARS = 10_000_000
/**
 * How long after its time limit a source is stopped by force. Normally the engine stops the source itself, but during some operations the
 * engine does not check the clock.
 */
const GRACE_MS = 100
const NAME = /^[\p{ID_Start}$_][\p{ID_Continue}$]*(?:\.[\p{ID_Start}$_][\p{ID_Continue}$]*)*$/u

const aMemory: OptionCheck = expecting("a size from '1MB' to '1GB'", (value) => {
  const bytes = memoryBytes(value) ?? 0
  return bytes >= 1e6 && bytes <= 1.1e9
})
const anInstant: OptionCheck = (value) => {
  const reading = readInstant(value)
  return 'date' in reading ? undefined : `is ${describe(value)}; expected ${reading.expected}`
}
const aSource = expecting(
  `the text of a script of at most ${MAX_SOURCE_CHARS} characters`,
  (value) => typeof value === 'string' && value.length <= MAX_SOURCE_CHARS,
)
const aName: OptionCheck = (value) =>
  value === undefined || (typeof value === 'string' && value.length <= 200 && NAME.test(value))
    ? undefined
    : `is ${describe(value)}; expected the name of a function, such as "sign"`

const FORM = {
  call: 'sandbox.call',
  checks: {
    timeout: aDuration(1, 600_000),
    memory: aMemory,
    now: anInstant,
    signal: anAbortSignal,
  } satisfies OptionChecks<SandboxOptions>,
  example: "{ timeout: '1s', memory: '32MB' }",
}

const thread = offload<typeof import('./sandbox-thread.ts')>(new URL('./sandbox-thread.ts', import.meta.url))

/**
 * Runs the JavaScript of a page, such as the function that signs its requests, in a separate engine inside a thread. The source can't
 * access the process, the network, timers or the clock. `Date` shows only the time of the option `now`. A call can't access the data of
 * earlier calls. Needs the package `quickjs-emscripten`.
 */
export const sandbox = {
  /**
   * Evaluates a source, then calls one of its functions.
   *
   * @param name the name of the function; undefined: the result is the value of the source's last statement
   * @param args the arguments of the function, which must be JSON values; default none
   * @returns the result after a conversion to JSON and back; if the function returns a promise, the result is its value
   * @throws PikoError `SANDBOX_TIMEOUT`, `SANDBOX_MEMORY`, `SANDBOX_FAILED` for an error of the source, `PACKAGE_MISSING` or `USAGE`
   * @example
   * const signature = await sandbox.call<string>(script, 'sign', [path, token], { timeout: '1s', memory: '32MB' })
   */
  async call<T = unknown>(
    source: string,
    name?: string,
    args: readonly unknown[] = [],
    options: SandboxOptions = {},
  ): Promise<T> {
    const begun = threadsClock()
    const checked = readCall<SandboxOptions>(FORM, { source: [source, aSource], name: [name, aName] }, options)
    const { timeout = '1s', memory = '32MB', now, signal } = checked
    const timeoutMs = durationMs(timeout)
    const reading = now === undefined ? undefined : readInstant(now)
    const task: SandboxTask = {
      source,
      name,
      args: argsText(args),
      memoryBytes: memoryBytes(memory) ?? 0,
      deadline: begun + timeoutMs,
      leastMs: timeoutMs / 2,
      nowMs: reading && 'date' in reading ? reading.date.getTime() : undefined,
      endsAt: new Float64Array(new SharedArrayBuffer(8)),
    }
    const shown = name === undefined ? 'the source' : `${name}()`
    const linked = new LinkedSignal(signal)
    const cancel = forced(task, () => linked.abort(tooLong(shown, timeout)))
    try {
      const reply = await thread.$with({ signal: linked.signal }).evaluate(task)
      return valueOf(reply, shown, { timeout, memory }) as T
    } catch (thrown) {
      throw isPikoError(thrown, 'OFFLOAD_MEMORY') ? tooLarge(shown, memory) : thrown
    } finally {
      cancel()
      linked.release()
    }
  },
}

/** Calls `end` when the evaluation has exceeded its time limit, but not while it is still waiting for a thread. */
function forced({ endsAt, deadline }: SandboxTask, end: () => void): () => void {
  let timer: NodeJS.Timeout
  const look = (): void => {
    const begun = endsAt[0] ?? 0
    const leftMs = begun === 0 ? GRACE_MS : begun + GRACE_MS - threadsClock()
    if (leftMs <= 0) end()
    else timer = setTimeout(look, leftMs)
  }
  timer = setTimeout(look, Math.max(0, deadline - threadsClock()))
  return () => clearTimeout(timer)
}

function argsText(args: readonly unknown[]): string {
  const text = isList(args) ? safely(() => JSON.stringify(args), undefined) : undefined
  if (text === undefined) throw wrongCall('sandbox.call', [`args is ${describe(args)}; expected a list of JSON values`])
  if (text.length <= MAX_ARGS_CHARS) return text
  throw wrongCall('sandbox.call', [`args has ${text.length} characters of JSON; expected at most ${MAX_ARGS_CHARS}`])
}

function valueOf(
  reply: SandboxReply,
  shown: string,
  { timeout, memory }: Required<Pick<SandboxOptions, 'timeout' | 'memory'>>,
): unknown {
  switch (reply.kind) {
    case 'done':
      return reply.json === '' ? undefined : (JSON.parse(reply.json) as unknown)
    case 'time':
      throw tooLong(shown, timeout)
    case 'memory':
      throw tooLarge(shown, memory)
    case 'output':
      throw new PikoError('SANDBOX_MEMORY', `${shown} returned more than 10 million characters of JSON; return less`)
    case 'pending':
      throw new PikoError(
        'SANDBOX_FAILED',
        `${shown} returned a promise that never settles; a sandbox has no timers and no network`,
      )
    case 'error': {
      const { name, message, stack } = reply
      const details = { name, message, stack }
      throw new PikoError('SANDBOX_FAILED', `${shown} threw ${redactText(`${name}: ${message}`)}`, { details })
    }
  }
}

function tooLong(shown: string, timeout: Duration): PikoError {
  return new PikoError('SANDBOX_TIMEOUT', `${shown} did not end within ${timeout}; raise timeout if it may take longer`)
}

function tooLarge(shown: string, memory: MemorySize): PikoError {
  return new PikoError(
    'SANDBOX_MEMORY',
    `${shown} needs more than ${memory} of memory; raise memory if it may use more`,
  )
}
