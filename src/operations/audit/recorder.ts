import type { Actor } from '../../access/actor.ts'
import { changing } from '../../engine/refused-changes.ts'
import { isPikoError, toError } from '../../errors.ts'
import type { ErrorCode } from '../../errors.ts'
import type { Events } from '../../events.ts'
import { isOneOf } from '../../errors-read.ts'
import type { AuditEnd } from '../../store/access/audit-store.ts'
import type { Store } from '../../store/store.ts'
import { actingNow, processName, withoutActor } from './acting.ts'
import { auditText } from './audit-text.ts'
import { type CallArguments, type Change, fieldOf, type Sight, type Verb } from './change.ts'
import type { Nouns } from './nouns.ts'

/** Errors after which it is unknown whether the change was made, completely or in part. */
const UNSURE: readonly ErrorCode[] = [
  'COMMIT_UNKNOWN',
  'DATABASE_GONE',
  'DATABASE_TIMEOUT',
  'DATABASE_UNREACHABLE',
  'LEASE_LOST',
  'RUN_FAILED',
  'SINK_FAILED',
]

interface RecorderParts {
  readonly nouns: Nouns
  readonly events: Pick<Events, 'emit'>
}

/** A call that changes something. */
interface Call<T> {
  /** The noun and the verb of the call, such as `jobs.pause`. */
  readonly verb: string
  readonly change: Change
  readonly args: CallArguments
  /** @throws PikoError while the app is not running */
  readonly store: () => Store
  readonly make: () => Promise<T>
}

/** Writes one audit row for each change. */
export class Recorder {
  readonly #parts: RecorderParts
  #process: Actor | undefined

  constructor(parts: RecorderParts) {
    this.#parts = parts
  }

  /** Wraps the verbs of a noun that change something, so that each call leaves an audit row. */
  audited<T extends object>(noun: string, instance: T, verbs: Readonly<Record<string, Verb>>, store: () => Store): T {
    for (const [name, change] of Object.entries(verbs)) {
      if (typeof change === 'string') continue
      const make = Reflect.get(instance, name) as (...args: CallArguments) => Promise<unknown>
      const verb = `${noun}.${name}`
      const value = (...args: CallArguments): Promise<unknown> =>
        this.record({ verb, change, args, store, make: () => make.apply(instance, [...args]) })
      Object.defineProperty(instance, name, { value })
    }
    return instance
  }

  /**
   * Makes a change and records it. The row is written before the change, so that no change is without a row, even if the process dies. If
   * the change is refused, the row is deleted.
   *
   * @throws the errors of the change, and errors of the store if it can't write the row; then nothing is changed
   */
  async record<T>(call: Call<T>): Promise<T> {
    const acting = actingNow()
    const { change, args } = call
    if ((change.isWork && !acting) || (change.isDry ?? isDry)(args)) return call.make()
    const actor = acting?.actor ?? this.#own
    const reason = acting?.reason ?? reasonIn(args)
    return withoutActor(() => this.#record(call, actor, reason))
  }

  get #own(): Actor {
    return (this.#process ??= { kind: 'code', name: processName(), role: 'admin' })
  }

  async #record<T>(
    { verb, change, args, store: reach, make }: Call<T>,
    actor: Actor,
    reason: string | undefined,
  ): Promise<T> {
    const store = reach()
    const sight: Sight = { nouns: this.#parts.nouns, store }
    const read = change.before ?? change.state
    const before = read && (await unlessRefused(() => read(sight, args)))
    const jobId = change.job?.(args) ?? textIn(before, 'jobId')
    const target = change.target?.(args)
    const begun = {
      ...{ verb, actor, jobId, target, reason, before: auditText(before) },
      request: auditText((change.request ?? afterFirst)(args)),
    }
    const id = await changing(`the audit row of ${verb}`, 'piko_audit', () => store.audit.begin(begun))
    let result: T
    try {
      result = await make()
    } catch (thrown) {
      await this.#failed(id, { verb, change, jobId, target, actor }, thrown, store)
      throw thrown
    }
    const after = await afterOf(change, sight, args, result)
    const made = change.made?.(result)
    const end = { outcome: 'done', after: auditText(after), ...(made !== undefined && { target: made }) } as const
    await this.#end(id, end, { verb, jobId, target: made ?? target, actor }, store)
    return result
  }

  /** Keeps the row if the change may have been made, otherwise deletes it. */
  async #failed(
    id: number,
    {
      change,
      ...about
    }: { verb: string; change: Change; jobId: string | undefined; target: string | undefined; actor: Actor },
    thrown: unknown,
    store: Store,
  ): Promise<void> {
    const error = toError(thrown)
    const code = isPikoError(error) ? error.code : 'UNEXPECTED'
    if (isPikoError(error) && isRefusal(error.code, error.details, change)) {
      this.#parts.events.emit('change.refused', { verb: about.verb, code, actor: about.actor.name })
      await this.#quietly(() => store.audit.withdraw(id), about)
      return
    }
    const after = auditText({ error: error.message })
    await this.#end(id, { outcome: 'unknown', after, errorCode: code }, about, store)
  }

  async #end(
    id: number,
    end: AuditEnd,
    {
      verb,
      jobId,
      target,
      actor,
    }: { verb: string; jobId: string | undefined; target: string | undefined; actor: Actor },
    store: Store,
  ): Promise<void> {
    const isStored = await this.#quietly(() => store.audit.end(id, end, { verb, jobId, actor }), {
      verb,
      jobId,
      target,
    })
    const { kind, name } = actor
    if (isStored)
      this.#parts.events.emit('change.recorded', {
        auditId: id,
        verb,
        jobId,
        target,
        actor: { kind, name },
        outcome: end.outcome,
      })
  }

  /**
   * Completes or deletes the row without throwing. The caller gets the result or the error of the change even if the row stays `started`.
   */
  async #quietly(
    write: () => Promise<void>,
    { verb, jobId, target }: { verb: string; jobId: string | undefined; target: string | undefined },
  ): Promise<boolean> {
    try {
      await write()
      return true
    } catch (thrown) {
      this.#parts.events.emit('change.unrecorded', { verb, jobId, target, error: toError(thrown) })
      return false
    }
  }
}

async function afterOf(change: Change, sight: Sight, args: CallArguments, result: unknown): Promise<unknown> {
  const { state, after } = change
  if (after) return unlessRefused(async () => after(result, args))
  return state ? unlessRefused(() => state(sight, args)) : result
}

/** Reads a state; undefined if it can't be read. A change that fails for the same reason throws that error to its caller. */
async function unlessRefused(read: () => Promise<unknown>): Promise<unknown> {
  try {
    return await read()
  } catch {
    return undefined
  }
}

function isRefusal(code: ErrorCode, details: Readonly<Record<string, unknown>> | undefined, change: Change): boolean {
  if (code === 'CHANGE_REFUSED') return !change.isInParts && details?.['runIds'] === undefined
  return !isOneOf(UNSURE, code)
}

function isDry(args: CallArguments): boolean {
  return args.some((arg) => fieldOf(arg, 'dryRun') === true)
}

function afterFirst([, ...rest]: CallArguments): unknown {
  return rest.length > 1 ? rest : rest[0]
}

/** Returns the `reason` in the options of a call. */
function reasonIn(args: CallArguments): string | undefined {
  return args
    .slice(1)
    .map((arg) => textIn(arg, 'reason'))
    .find((reason) => reason !== undefined)
}

function textIn(value: unknown, name: string): string | undefined {
  const found = fieldOf(value, name)
  return typeof found === 'string' ? found : undefined
}
